"""Tests of the web package, against real servers."""
