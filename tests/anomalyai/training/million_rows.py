"""A file of a million rows, trained on or scored in a process of its own: prints as JSON what that takes."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from anomalyai.backtest import score_file
from anomalyai.training import TrainingOptions
from anomalyai.training.course import train_file


def main() -> None:
    """Do what the first argument names, an algorithm or "score", to the file of the second one."""
    what, path = sys.argv[1], Path(sys.argv[2])
    began = time.perf_counter()
    found: dict[str, object] = {}
    if what == "score":
        scores = score_file(path)
        found["rows"] = len(scores.order)
    else:
        facts = train_file(path, TrainingOptions(algorithm=what), feed="million").facts
        found.update(rows=facts.rows, rows_used=facts.rows_used, sampled=facts.sampled)
        found["average_precision"] = {
            scorer: facts.metrics[scorer]["average_precision"] for scorer in ("model", "random")
        }
    found["seconds"] = time.perf_counter() - began
    found["cpu_s"] = time.process_time()
    per_mb = 1 << (20 if sys.platform == "darwin" else 10)
    found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / per_mb
    print(json.dumps(found))


if __name__ == "__main__":
    main()
