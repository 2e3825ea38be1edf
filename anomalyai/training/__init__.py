"""Training of a feed's batch model: what may be asked for, the records it is made of, and the fit."""

from anomalyai.training.fit import ALGORITHMS, MIN_ROWS, Trainer, train
from anomalyai.training.options import Algorithm, Preprocessing, TrainingOptions
from anomalyai.training.trained_model import TrainedDetector, TrainedModel
from anomalyai.training.training_set import TrainingSet

__all__ = [
    "ALGORITHMS",
    "MIN_ROWS",
    "Algorithm",
    "Preprocessing",
    "TrainedDetector",
    "TrainedModel",
    "Trainer",
    "TrainingOptions",
    "TrainingSet",
    "train",
]
