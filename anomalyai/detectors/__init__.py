"""Detectors: rows of features in, one raw score a row out, high is anomalous.

All have `score_batch(X)` and `learn_batch(X)`; what learns as it goes also has `score_learn_batch(X)`.
Import each from its own module: `half_space_trees`, `isolation_forest`, `baseline`.
"""
