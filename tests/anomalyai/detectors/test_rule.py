"""Rules in TOML: every condition, on rows and on records, and refusals that name what is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from anomalyai.detectors.rule import SEVERITIES, RuleDetector, read_rules
from anomalyai.errors import SchemaError

TEXT = """
[[rule]]
field = "amount"
above = 10_000
name = "large payment"
one_in = 50_000

[[rule]]
field = "amount"
below = 0
severity = "critical"

[[rule]]
field = "port"
in = [23, 2323]
severity = "low"

[[rule]]
field = "version"
equals = 1

[[rule]]
field = "amount"
missing = true
one_in = 2
"""
COLUMNS = ("amount", "port", "version")
LARGE, CRITICAL, LOW, MEDIUM = np.log([50_000.0, 1e6, 100.0, 1_000.0])

CASES = [
    ([10_000.0, 80.0, 2.0], 0.0),
    ([10_000.01, 80.0, 2.0], LARGE),
    ([np.inf, 80.0, 2.0], LARGE),
    ([0.0, 80.0, 2.0], 0.0),
    ([-0.5, 80.0, 2.0], CRITICAL),
    ([5.0, 2323.0, 2.0], LOW),
    ([5.0, 2323.0, 1.0], MEDIUM),
    ([20_000.0, 23.0, 1.0], LARGE),
    ([np.nan, 80.0, 2.0], np.log(2.0)),
    ([np.nan, np.nan, np.nan], np.log(2.0)),
]


def test_rows_score_by_the_rarest_rule_that_they_meet() -> None:
    detector = RuleDetector(TEXT, COLUMNS)
    rows = np.array([row for row, _ in CASES])
    assert detector.score_batch(rows).tolist() == [expected for _, expected in CASES]


def test_records_score_as_their_rows_do() -> None:
    detector = RuleDetector(TEXT, COLUMNS)
    records = [dict(zip(COLUMNS, row, strict=True)) for row, _ in CASES]
    assert detector.score_records(records).tolist() == [expected for _, expected in CASES]
    lacking = {name: value for name, value in records[5].items() if name != "amount"}
    assert [rule.name for rule in detector.met(lacking)] == ["port in [23, 2323]", "amount missing"]
    assert detector.met({**records[0], "amount": None})[0].condition == "missing"


def test_texts_are_compared_in_records_only() -> None:
    detector = RuleDetector(
        """
        [[rule]]
        field = "country"
        in = ["kp", "xx"]
        [[rule]]
        field = "channel"
        equals = "test"
        severity = "high"
        """,
        ("country", "channel"),
    )
    records = [{"country": "de"}, {"country": "kp"}, {"country": "xx", "channel": "test"}, {"channel": 0}]
    assert detector.score_records(records) == pytest.approx([0.0, MEDIUM, np.log(SEVERITIES["high"]), 0.0])
    with pytest.raises(ValueError, match=r"compares \"country\" with a text: use score_records"):
        detector.score_batch([[0.0, 0.0]])
    assert RuleDetector(TEXT).score_records([{"amount": "20000"}, {"amount": True}]).tolist() == [0.0, 0.0]


def test_a_name_is_made_of_the_condition() -> None:
    names = [rule.name for rule in read_rules(TEXT)]
    assert names == [
        "large payment",
        "amount below 0",
        "port in [23, 2323]",
        "version equals 1",
        "amount missing",
    ]
    assert read_rules("") == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[rule]]\nfield=", "expected TOML"),
        ("[[rules]]\nfield = 'a'", r'unknown key "rules", expected \[\[rule\]\]'),
        ("[rule]\nfield = 'a'\nabove = 1", r"got one \[rule\]"),
        ("rule = [1]", "expected rule 1 as a table, got 1"),
        ("[[rule]]\nabove = 1", "expected the field of rule 1 as a name, got null"),
        (
            "[[rule]]\nfield = 'a'\nabove = 1\nover = 2",
            r'unknown key "over" in rule 1\. Known keys: field, above',
        ),
        ("[[rule]]\nfield = 'a'", "expected one condition in rule 1, got none"),
        ("[[rule]]\nfield = 'a'\nabove = 1\nbelow = 0", "expected one condition in rule 1, got above, below"),
        ("[[rule]]\nfield = 'a'\nabove = '1'", 'expected above of rule 1 as a number, got "1"'),
        ("[[rule]]\nfield = 'a'\nbelow = nan", "expected below of rule 1 as a number, got nan"),
        ("[[rule]]\nfield = 'a'\nequals = true", "expected equals of rule 1 as a number or a text, got true"),
        ("[[rule]]\nfield = 'a'\nin = []", "expected in of rule 1 as a list of numbers or texts"),
        ("[[rule]]\nfield = 'a'\nmissing = false", "expected missing of rule 1 as true, got false"),
        ("[[rule]]\nfield = 'a'\nabove = 1\nname = ''", "expected the name of rule 1"),
        ("[[rule]]\nfield = 'a'\nabove = 1\none_in = 1", "expected one_in of rule 1 as a number above 1"),
        (
            "[[rule]]\nfield = 'a'\nabove = 1\nseverity = 'bad'",
            'one of low, medium, high, critical, got "bad"',
        ),
        (
            "[[rule]]\nfield = 'a'\nabove = 1\n[[rule]]\nfield = 'b'\nbelow=2\nseverity = 'low'\none_in = 9",
            "expected severity or one_in in rule 2, got both",
        ),
    ],
)
def test_refusals_name_the_rule_and_the_key(text: str, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        read_rules(text)


def test_rows_need_names_for_their_columns() -> None:
    with pytest.raises(
        ValueError, match=r"expected names for the columns: give RuleDetector\(text, columns\)"
    ):
        RuleDetector(TEXT).score_batch(np.empty((2, 0)))
    assert RuleDetector("", ("a",)).score_batch([[1.0], [np.nan]]).tolist() == [0.0, 0.0]


def test_a_rule_on_no_column_is_refused() -> None:
    with pytest.raises(
        SchemaError, match=r'"large payment" is about "amount", which is no column\. Columns: a, b'
    ):
        RuleDetector(TEXT, ("a", "b"))
