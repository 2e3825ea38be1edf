"""How good a scorer is: always beside simpler ones, with intervals, and nothing made up without labels.

`measure` gives the few figures of a back-test, `evaluate` all there is to say of one scored stream, and
`held_out_report` what a training keeps of its model in the manifest.
"""

from anomalyai.evaluation.accuracy import LabelClock
from anomalyai.evaluation.evaluation import Basis, Evaluation, Scorers, evaluate
from anomalyai.evaluation.figures import Figures, default_warmup, measure
from anomalyai.evaluation.kept import held_out_report
from anomalyai.evaluation.split import Entities

__all__ = [
    "Basis",
    "Entities",
    "Evaluation",
    "Figures",
    "LabelClock",
    "Scorers",
    "default_warmup",
    "evaluate",
    "held_out_report",
    "measure",
]
