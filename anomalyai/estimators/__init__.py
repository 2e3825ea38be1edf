"""The detectors in the forms of the libraries they come from, for programs written for those.

`anomalyai.estimators.scikit_learn` has outlier detectors with `fit` and `predict` (low is anomalous there),
`anomalyai.estimators.river` one with `score_one` and `learn_one`. Import each from its own module.
"""
