"""Tests of stream.training."""
