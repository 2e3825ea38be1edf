"""`anomalyai train`: train a model on the records of a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from anomalyai.training.course import Course

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
STEPS = 1_000
FIGURES = ("average_precision", "roc_auc", "precision_at_budget", "recall_at_budget", "rate")


@click.command(short_help="Train a model on the records of a file.")
@click.argument("file", type=FILE)
@click.option("--feed", "feed_toml", type=FILE, help="TOML file that declares the feed's fields.")
@click.option("--name", help="Feed that the model is for (the declared name, else the file's).")
@click.option("--algorithm", default="isolation_forest", show_default=True,
              type=click.Choice(("isolation_forest", "one_class_svm", "kmeans", "dbscan")),
              help="What is trained.")  # fmt: skip
@click.option("--parameter", "given", multiple=True, metavar="NAME=VALUE",
              help="A parameter of the algorithm, such as n_trees=200; may be repeated.")  # fmt: skip
@click.option("--missing", type=click.Choice(("median", "constant", "drop", "indicator")), default="median",
              show_default=True, help="What becomes of missing values.")  # fmt: skip
@click.option("--constant", type=float, default=0.0, show_default=True,
              help="What they are with --missing constant.")  # fmt: skip
@click.option("--scaling", type=click.Choice(("robust", "standard", "min_max", "none")), default="robust",
              show_default=True, help="Scale of the columns.")  # fmt: skip
@click.option("--categories", type=click.Choice(("rarity", "one_hot")), default="rarity", show_default=True,
              help="Categories by how rare their value is, or a column for each frequent one.")  # fmt: skip
@click.option("--features", metavar="A,B,...", help="Fields to train on (all).")
@click.option("--label", metavar="FIELD", help="Field with the ground truth, for the figures only.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True,
              help="Seed of every random choice.")  # fmt: skip
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), default=Path("./anomalyai-data"),
              help="Data directory (default ./anomalyai-data).")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print what was trained as one JSON line.")
def command(
    file: Path,
    feed_toml: Path | None,
    name: str | None,
    algorithm: str,
    given: tuple[str, ...],
    label: str | None,
    seed: int,
    data: Path,
    as_json: bool,
    features: str | None,
    **preprocessing: Any,
) -> None:
    """Train a model on FILE (CSV, NDJSON or JSON, .gz too) and keep it in the data directory's store.

    The records go through the pipeline in event order; what it flags is not trained on. The figures are of
    the last fifth by time, by a model of the rest, beside chance and the most extreme value. The model
    scores nothing until it is promoted.
    """
    toml = feed_toml.read_text(encoding="utf-8-sig") if feed_toml else None
    feed = _feed(name, file, toml)
    asked = {
        "algorithm": algorithm,
        "parameters": dict(_parameters(given)),
        "preprocessing": preprocessing | {"features": features.split(",") if features else None},
        "label": label,
        "seed": seed,
    }
    made = _train(file, feed, toml, asked, data)
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(made).decode())
        return
    for line in _told(made):
        click.echo(line)


def _feed(name: str | None, file: Path, toml: str | None) -> str:
    from simulators.replay import feed_name
    from stream.feeds import NAME

    feed = name or feed_name(file, toml)
    if not NAME.fullmatch(feed):
        raise click.BadParameter(f"expected a name of a-z, 0-9, - and _, got {feed!r}", param_hint="--name")
    return feed


def _train(file: Path, feed: str, toml: str | None, asked: Mapping[str, Any], data: Path) -> dict[str, Any]:
    """Train, keep the model, and return what was made of what."""
    import time

    import msgspec

    from anomalyai.model_store import ModelStore
    from anomalyai.schema import FeedSchema
    from anomalyai.training import TrainingOptions
    from anomalyai.training.course import train_file
    from stream.secret import instance_secret
    from web.progress import Bar

    started = time.perf_counter()
    with Bar("training") as bar:
        course = train_file(
            file,
            msgspec.convert(asked, TrainingOptions),
            feed=feed,
            schema=FeedSchema.from_toml(toml) if toml is not None else None,
            progress=lambda stage, fraction: bar.update(int(fraction * STEPS), STEPS),
        )
    manifest = ModelStore(data / "models", instance_secret(data)).save(
        feed,
        course.model,
        facts=course.facts,
        start=course.start,
        created_s=time.time(),
        created_by="command line",
    )
    if course.rejections:
        first = course.rejections[0]
        click.echo(f"rejected {course.rejected} rows, first: row {first.index + 1}: {first.error}", err=True)
    return _made(manifest.id, feed, asked["algorithm"], course) | {"seconds": time.perf_counter() - started}


def _parameters(given: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Yield the parameters by name: values are numbers or null as in JSON, else words."""
    import msgspec

    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"expected NAME=VALUE, got {text!r}", param_hint="--parameter")
        try:
            yield name, msgspec.json.decode(value)
        except msgspec.DecodeError:
            yield name, value


def _made(model_id: str, feed: str, algorithm: str, course: Course) -> dict[str, Any]:
    facts = course.facts
    return {
        "id": model_id,
        "feed": feed,
        "algorithm": algorithm,
        "parameters": facts.parameters,
        "rows": facts.rows,
        "rows_used": facts.rows_used,
        "sampled": facts.sampled,
        "rejected": course.rejected,
        "metrics": {name: value for name, value in facts.metrics.items() if name != "report"},
    }


def _told(made: Mapping[str, Any]) -> Iterator[str]:
    """Yield what was trained as lines for people."""
    metrics = made["metrics"]
    sampled = ", a seeded sample" if made["sampled"] else ""
    yield f"model      {made['id']}"
    yield f"rows       {made['rows']:,}, trained on {made['rows_used']:,}{sampled}"
    if not metrics:
        yield "figures    none: there are too few records to hold some back"
        return
    known = metrics["anomalies"]
    told = "no labels, so no accuracy" if known is None else f"{known:,} labelled as anomalies"
    yield f"figures    of the last {metrics['rows']:,} records: {told}"
    yield f"{'':>22} {'model':>10} {'random':>10} {'extreme':>10}"
    for figure in FIGURES:
        cells = [_cell(metrics[scorer][figure]) for scorer in ("model", "random", "extreme_value")]
        yield f"{figure:>22} {cells[0]:>10} {cells[1]:>10} {cells[2]:>10}"
    yield f"{'agreement':>22} {_cell(metrics['agreement']):>10}   of its flags with the pipeline's own"
    yield f"{'stability':>22} {_cell(metrics['stability']):>10}   of its ranking under another seed"


def _cell(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
