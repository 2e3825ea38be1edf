"""Tests of anomalyai.training."""
