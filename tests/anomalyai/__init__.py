"""Tests of the detection core and the client."""
