"""Tests of what scores a feed: putting models in and taking them back."""
