"""Tests of the detectors, each held against the library it must equal."""
