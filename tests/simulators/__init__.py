"""Tests of the simulators, of replay and of sending."""
