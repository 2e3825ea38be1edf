"""Detectors: rows of features in, one raw score a row out, high is anomalous.

All keep the contract of `anomalyai.base.Detector`, one algorithm a file, and `registry.DETECTORS` has them by
name. Importing one from its own module costs only what that one needs.
"""
