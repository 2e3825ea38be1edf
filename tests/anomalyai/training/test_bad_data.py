"""Files as they come: a right answer, or an error that names row and column."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from anomalyai.backtest import score_file
from anomalyai.errors import AnomalyAIError, ModelError, ParameterError, UnreadableBody
from anomalyai.pipeline import Pipeline
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema
from anomalyai.training import ALGORITHMS, TrainingOptions
from anomalyai.training.course import Course, train_file

COUNT = 240

Change = Callable[[pd.DataFrame], pd.DataFrame]


def table(count: int = COUNT) -> pd.DataFrame:
    """Return `count` ordinary records."""
    rng = np.random.default_rng(7)
    return pd.DataFrame(
        {
            "time": 1.7e9 + 60.0 * np.arange(count),
            "shop": rng.choice(["north", "south", "east"], count),
            "amount": np.round(rng.lognormal(3.0, 0.5, count), 2),
            "load": np.round(rng.normal(0.5, 0.1, count), 4),
            "label": (np.arange(count) % 100 == 99).astype(int),
        }
    )


def train(path: Path, algorithm: str = "kmeans", toml: str | None = None, **options: str) -> Course:
    schema = FeedSchema.from_toml(toml) if toml is not None else None
    return train_file(path, TrainingOptions(algorithm=algorithm, **options), feed="f", schema=schema)


def holed(frame: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return frame.mask(rng.random(frame.shape) < 0.2)


GOOD: dict[str, Change] = {
    "missing values in any column": holed,
    "a constant column": lambda frame: frame.assign(load=4.0),
    "a column without a value": lambda frame: frame.assign(load=np.nan),
    "all rows equal": lambda frame: frame.assign(time=1.7e9, shop="north", amount=1.0, load=1.0),
    "event times that fall": lambda frame: frame.iloc[::-1],
}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("name", GOOD)
def test_what_can_be_trained_is(name: str, algorithm: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    GOOD[name](table()).to_csv(path, index=False)
    made = train(path, algorithm)
    assert (made.facts.rows, made.rejected) == (COUNT, 0)
    started = Pipeline.loads(made.start)
    started.swap("m", made.model)
    unseen = [{"time": 1.8e9, "shop": "nowhere", "amount": 1e6, "load": None}]
    [found] = started.predict(RecordBatch.from_records(unseen, started.schema))
    assert np.isfinite(found.score)


def write(
    frame: pd.DataFrame, path: Path, *, encoding: str = "utf-8", sep: str = ",", decimal: str = "."
) -> Path:
    frame.to_csv(path, index=False, sep=sep, decimal=decimal, encoding=encoding)
    return path


@pytest.mark.parametrize(
    ("encoding", "sep", "decimal"),
    [
        ("utf-8-sig", ",", "."),
        ("utf-8", ";", ","),
        ("utf-8-sig", "\t", "."),
        ("utf-8", ";", "."),
        ("utf-8", ",", ","),
    ],
)
def test_a_spreadsheets_way_of_writing_changes_nothing(
    encoding: str, sep: str, decimal: str, tmp_path: Path
) -> None:
    plain = train(write(table(), tmp_path / "plain.csv"))
    path = write(table(), tmp_path / "other.csv", encoding=encoding, sep=sep, decimal=decimal)
    made = train(path)
    assert made.rejected == 0
    assert made.facts.fingerprint == plain.facts.fingerprint


def test_scoring_reads_files_in_the_same_way(tmp_path: Path) -> None:
    plain = score_file(write(table(), tmp_path / "plain.csv"))
    other = score_file(write(table(), tmp_path / "other.csv", sep=";", decimal=","))
    assert np.array_equal(other.score, plain.score)


def test_grouped_thousands_and_decimal_commas_are_read(tmp_path: Path) -> None:
    frame = table().assign(amount=lambda frame: frame["amount"] * 1e4)
    plain = train(write(frame, tmp_path / "plain.csv"))
    german = [f"{value:,.2f}".translate(str.maketrans(",.", ".,")) for value in frame["amount"]]
    assert any(text.count(".") == 1 and "," in text for text in german)
    made = train(write(frame.assign(amount=german), tmp_path / "german.csv", sep=";", decimal=","))
    assert made.facts.fingerprint == plain.facts.fingerprint


def test_latin_1_names_row_and_column(tmp_path: Path) -> None:
    frame = table()
    frame.loc[17, "shop"] = "\u00d6rebro"
    made = train(write(frame, tmp_path / "latin.csv", encoding="latin-1"))
    [rejection] = made.rejections
    assert (rejection.index, rejection.field) == (17, "shop")
    assert "expected UTF-8" in rejection.error
    assert made.facts.rows == COUNT - 1


def test_a_field_that_is_not_read_may_be_declared_and_absent(tmp_path: Path) -> None:
    path = write(table(), tmp_path / "plain.csv")
    made = train(path, toml='[feed]\nid = "number"\nignore = ["note"]\nnumbers = ["amount"]')
    assert made.facts.rows == COUNT


def test_five_hundred_columns(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(150, 500)).round(3), columns=[f"x{j}" for j in range(500)])
    made = train(write(frame, tmp_path / "wide.csv"))
    assert len(made.model.columns) == 500
    assert made.facts.rows_used > 100


BAD: dict[str, tuple[Change, str | None, dict[str, str], str]] = {
    "one row": (lambda frame: frame[:1], None, {}, "at least 50 clean records to train on, got 1 of 1"),
    "no row": (lambda frame: frame[:0], None, {}, "at least 50 clean records to train on, got 0 of 0"),
    "nothing but gaps": (
        lambda frame: frame.map(lambda _: None), None, {}, "none of the fields can be scored",
    ),
    "a label column with text": (
        lambda frame: frame.assign(label="fraud"), None, {"label": "label"},
        r'row 1, field "label": expected a label of 0 or 1, got "fraud"',
    ),
    "a label that is not there": (
        lambda frame: frame, None, {"label": "truth"}, 'got "truth", which no record has',
    ),
    "words where numbers were declared": (
        lambda frame: frame.assign(amount="much"), '[feed]\nnumbers = ["amount"]', {},
        r'row 1, field "amount": expected a number, got the string "much"',
    ),
    "columns renamed": (
        lambda frame: frame.rename(columns={"amount": "Betrag"}), '[feed]\nnumbers = ["amount", "load"]', {},
        "amount.*declared.*Betrag",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_trained_names_row_and_column(name: str, tmp_path: Path) -> None:
    change, toml, options, text = BAD[name]
    path = write(change(table()), tmp_path / "bad.csv")
    with pytest.raises((ModelError, ParameterError), match=text):
        train(path, toml=toml, **options)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "expected a CSV header line, got nothing"),
        (b"1,2,3\n4,5,6\n", "got numbers"),
        (b"a,b,a\n1,2,3\n", 'got "a" twice'),
        ("gr\u00f6\u00dfe,b\n1,2\n".encode("latin-1"), "expected a CSV header in UTF-8"),
    ],
)
def test_what_is_no_table_is_said(content: bytes, text: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_bytes(content)
    with pytest.raises(UnreadableBody, match=text):
        train(path)


def test_a_broken_gzip_file_is_said(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv.gz"
    path.write_bytes(b"\x1f\x8b\x08\x00broken")
    with pytest.raises(AnomalyAIError, match="whole gzip file"):
        train(path)
