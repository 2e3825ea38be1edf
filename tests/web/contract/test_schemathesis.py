"""schemathesis, all checks on all routes of a real server; a longer run with `-m soak`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import ServerProcess
from tests.web.contract.conftest import FEED

HOOKS = "tests.web.contract.hooks"
ROOT = Path(__file__).parents[3]

CONFIG = """
hooks = "{hooks}"
[dictionaries]
feeds = {{ values = ["{feed}"] }}
alerts = {{ values = ["{feed}-2901"] }}
models = {{ values = ["{model}"] }}
[parameters]
"path.feed" = {{ dictionary = "feeds", probability = 0.7 }}
"query.feed" = {{ dictionary = "feeds", probability = 0.7 }}
"path.alert_id" = {{ dictionary = "alerts", probability = 0.7 }}
"path.model_id" = {{ dictionary = "models", probability = 0.7 }}

# Also refusals of what breaks a schema: too long, too large, gone.
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 410, 413, 414, 415, 422, 428, 429, 431]

# Records and labels are judged one by one and bad ones listed; kinds are the feed's, not the schema's.
[[operations]]
include-operation-id-regex = "post_events|post_labels|predict"
[operations.checks.negative_data_rejection]
expected-statuses = [200, 202, 400, 403, 404, 405, 409, 413, 414, 415, 422, 429, 431]
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", 404, 409, 422, 429]

# What is sent must have enough records to train on.
[[operations]]
include-operation-id = "train"
[operations.checks.negative_data_rejection]
expected-statuses = [202, 400, 403, 404, 405, 409, 413, 414, 415, 422, 429, 431]
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 404, 409, 429]

# A time ahead, something named; exactly one of two; a page that was there.
[[operations]]
include-operation-id-regex = "post_mute|post_verdicts|list_incidents|start_|steer_|what_if|put_budget"
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 404, 409, 413, 415, 422, 429]

# The feed's name has to be one.
[[operations]]
include-operation-id = "promote_model"
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 404, 409]

# A field may be declared once, and a budget has a form of its own.
[[operations]]
include-operation-id = "put_feed"
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 409]
"""


def run(server: ServerProcess, folder: Path, *options: str, timeout_s: float) -> None:
    """Let schemathesis loose on a server; it must find nothing."""
    model = server.request("GET", f"/models?feed={FEED}").json["models"][0]["id"]
    config = folder / "schemathesis.toml"
    config.write_text(CONFIG.format(hooks=HOOKS, feed=FEED, model=model))
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("schemathesis"), "--config-file", config),
            *("run", f"{server.url}/openapi.json"),
            *("--checks", "all", "--exclude-checks", "use_after_free"),  # a cancelled job is kept and shown
            *("--no-color", "--continue-on-failure", *options),
        ],
        cwd=folder, capture_output=True, text=True, timeout=timeout_s, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, "\n".join(line[:400] for line in done.stdout.splitlines())
    assert server.metric("anomalyai_internal_errors_total") == 0


def test_schemathesis_finds_nothing(seeded: ServerProcess, tmp_path: Path) -> None:
    run(seeded, tmp_path, "--max-examples", "3", "--seed", "1", timeout_s=110)


@pytest.mark.soak
@pytest.mark.timeout(1500)
def test_schemathesis_finds_nothing_in_a_long_run(seeded: ServerProcess, tmp_path: Path) -> None:
    run(seeded, tmp_path, "--max-examples", "60", "--max-time", "600", timeout_s=1400)
