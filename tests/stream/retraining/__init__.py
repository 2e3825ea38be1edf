"""Retraining on schedule, on drift and by hand."""
