"""Compiling before the first record."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from anomalyai.model_store import ModelStore
from anomalyai.training import TrainingSet, train
from stream.warmup import RECORDS, ROWS, warm_up_model, warm_up_scoring


def test_the_made_up_feed_and_model_go_all_the_way() -> None:
    assert warm_up_scoring() == RECORDS
    assert warm_up_model() == ROWS


def test_models_may_be_read_and_trained_at_the_same_time_in_a_fresh_process(tmp_path: Path) -> None:
    """Both import scikit-learn, which ends in a deadlock when they do it each by itself."""
    store = ModelStore(tmp_path)
    rows = np.random.default_rng(0).normal(size=(300, 3))
    manifest = store.save("f", train(TrainingSet(features=rows, columns=("a", "b", "c"), last_seq=300)))
    program = (
        "import sys, threading\n"
        "from pathlib import Path\n"
        "from anomalyai.model_store import ModelStore\n"
        "from stream.models import Models\n"
        "from stream.warmup import warm_up_model\n"
        "models = Models(ModelStore(Path(sys.argv[1])))\n"
        "reading = threading.Thread(target=models.load, args=(sys.argv[2],))\n"
        "threading.excepthook = lambda failed: print(failed.exc_value, flush=True)\n"
        "reading.start(); warm_up_model(); reading.join(); print('done')\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path), manifest.id]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == "done\n", done.stdout + done.stderr
