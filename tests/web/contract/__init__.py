"""Tests of the API's documents."""
