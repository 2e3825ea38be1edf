"""`anomalyai score`: score the records of a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anomalyai.backtest import RowScores
    from web.progress import Bar

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
STEPS = 1_000


@click.command(short_help="Score the records of a file.")
@click.argument("file", type=FILE)
@click.option("--feed", "feed_toml", type=FILE, help="TOML file that declares the feed's fields.")
@click.option(
    "--budget", help="Alert budget, such as 1/1000 (the default where the feed declares none) or 20/day."
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="CSV file to write (stdout).")
@click.option("--seed", type=int, help="Seed of every random choice (0).")
@click.option("--model", metavar="ID", help="Score by this stored model, learning nothing.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), default="./anomalyai-data",
              show_default=True, help="Data directory that holds the stored models.")  # fmt: skip
def command(
    file: Path,
    feed_toml: Path | None,
    budget: str | None,
    out: Path | None,
    seed: int | None,
    model: str | None,
    data: Path,
) -> None:
    """Score every record of FILE (CSV, NDJSON or JSON, .gz too) as the live pipeline would, in event order.

    With --model, score them in file order by a model of the store as its training data left it, as POST
    /predict does; nothing is learnt. Writes one row a data row of the file, in file order: seq, score (-log10
    of the tail probability), one_in, flagged, and anomaly in words. A rejected row has an empty score.
    """
    from anomalyai.backtest import score_file
    from anomalyai.schema import FeedSchema
    from web.progress import Bar
    from web.scores_csv import write_scores

    if model is not None and (feed_toml, budget, seed) != (None, None, None):
        raise click.UsageError("--feed, --budget and --seed are the model's own: leave them out with --model")
    with Bar("scoring") as bar:
        if model is not None:
            result = _by_model(file, model, data, bar)
        else:
            schema = FeedSchema.from_file(feed_toml) if feed_toml else None
            result = score_file(file, schema, budget=budget, seed=seed or 0, progress=bar.update)
    write_scores(out, result, with_anomaly=True)
    flagged = int(result.flagged.sum())
    click.echo(f"scored {len(result.order):,} of {len(result.score):,} rows, {flagged:,} anomalies", err=True)


def _by_model(file: Path, model_id: str, data: Path, bar: Bar) -> RowScores:
    """Score a file part by part against the start state of a stored model."""
    import numpy as np

    from anomalyai.backtest import RowScores
    from anomalyai.errors import ModelError
    from anomalyai.files import read_batches
    from anomalyai.model_store import ModelStore
    from anomalyai.records import RecordBatch
    from stream.champion.start import started
    from stream.models import Models
    from stream.secret import read_secret

    store = ModelStore(data / "models", read_secret(data))
    manifest = store.check(model_id)
    pipeline = started(manifest.feed, manifest, Models(store))
    if pipeline is None:
        raise ModelError(
            f"model {model_id!r} has no start state: it was trained from its feed's own records",
            code="model_start",
            hint=f"ask the server that has these: POST /predict?feed={manifest.feed}&model={model_id}",
        )
    reader = read_batches(file, pipeline.schema, fixed=True)
    trial = pipeline.trial()
    empty: NDArray[Any] = np.empty(0)
    parts = [(empty, empty, empty, empty)]
    for item in reader:
        if isinstance(item, RecordBatch):
            parts.append((item.rows - 1, *trial.score(item), item.label))
            bar.update(int(reader.fraction * STEPS), STEPS)
    places, scores, flags, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = places.astype(np.int64)
    every = np.full(reader.records, np.nan)
    whole = RowScores(
        every, np.zeros(len(every), np.bool_), order, every.copy(), pipeline.promised_rate, reader.rejections
    )
    whole.score[order], whole.label[order] = scores, labels
    whole.flagged[order] = flags.astype(np.bool_)
    return whole
