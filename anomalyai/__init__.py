"""Detection core: records, features, detectors, calibration and evaluation."""
