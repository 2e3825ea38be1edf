"""Seeded, labelled event simulators that send through the client."""
