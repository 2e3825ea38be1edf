"""Tests of the durable stream runtime."""
