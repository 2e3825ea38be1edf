"""Tests of the estimators, each held against its library's own checks."""
