"""Candidates for a feed: in the shadow of live traffic, and over the past that its log holds."""
