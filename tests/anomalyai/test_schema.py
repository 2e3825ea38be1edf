"""Declarations: what they may say, and how a wrong one is told."""

import msgspec
import pytest

from anomalyai.errors import SchemaError
from anomalyai.schema import FeedSchema, Field, JsonType, Kind

FULL = """
[feed]
name = "Card payments"
time = "ts"
id = "ref"
label = "fraud"
entities = ["card", "merchant"]
categories = ["kind"]
numbers = ["amount"]
ignore = ["note"]
positions = [["lat", "lon"]]
budget = "20/day"
"""


def test_a_full_declaration_is_read() -> None:
    schema = FeedSchema.from_toml(FULL)
    assert schema.name == "Card payments"
    assert (schema.time, schema.id, schema.label) == ("ts", "ref", "fraud")
    assert schema.entities == ("card", "merchant")
    assert schema.categories == ("kind",)
    assert schema.numbers == ("amount", "lat", "lon")
    assert schema.positions == (("lat", "lon"),)
    assert schema.budget == "20/day"
    assert not schema.settled
    assert all(field.declared for field in schema.fields)
    assert schema.by_name["note"] == Field("note", Kind.IGNORE, JsonType.UNKNOWN, True)
    assert schema.by_name["amount"].type is JsonType.NUMBER


def test_json_says_the_same_as_toml() -> None:
    table = {
        "name": "Card payments",
        "time": "ts",
        "id": "ref",
        "label": "fraud",
        "entities": ["card", "merchant"],
        "categories": ["kind"],
        "numbers": ["amount"],
        "ignore": ["note"],
        "positions": [["lat", "lon"]],
        "budget": "20/day",
    }
    assert FeedSchema.from_mapping({"feed": table}) == FeedSchema.from_toml(FULL)
    assert hash(FeedSchema.from_mapping({"feed": table})) == hash(FeedSchema.from_toml(FULL))


@pytest.mark.parametrize("text", ["", "[feed]", "# nothing\n"])
def test_everything_is_optional(text: str) -> None:
    assert FeedSchema.from_toml(text) == FeedSchema()


def test_a_schema_survives_json() -> None:
    schema = FeedSchema.from_toml(FULL)
    again = msgspec.json.decode(msgspec.json.encode(schema), type=FeedSchema)
    assert again == schema
    assert again.entities == schema.entities


def test_a_file_is_read(tmp_path: pytest.TempPathFactory) -> None:
    path = f"{tmp_path}/feed.toml"
    with open(path, "wb") as opened:
        opened.write(b"\xef\xbb\xbf[feed]\r\ntime = 'when'\r\n")
    assert FeedSchema.from_file(path).time == "when"


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        ("[feeds]\n", "feeds", ("unknown key", '"feeds"', "[feed]")),
        ("time = 'ts'\n", "time", ("unknown key", '"time"', "Put every option under [feed]")),
        ("[feed]\ntimes = 'ts'\n", "times", ("unknown key", '"times"', "Known keys: name, time, id")),
        ("feed = 3\n", "feed", ("[feed] to be a table", "got 3")),
        ("[feed]\ntime = 3\n", "time", ("expected a field name", "'time'", "got 3")),
        ("[feed]\ntime = ''\n", "time", ("expected a field name", 'got ""')),
        ("[feed]\ntime = ['a', 'b']\n", "time", ("expected a field name",)),
        ("[feed]\nentities = 'card'\n", "entities", ("to be a list", '"card"', 'entities = ["field"]')),
        ("[feed]\nentities = [1]\n", "entities", ("expected a field name", "got 1")),
        ("[feed]\nentities = ['a', 'a']\n", "a", ("declared twice", "as entity and as entity")),
        ("[feed]\ntime = 'a'\nnumbers = ['a']\n", "a", ("declared twice", "as time and as number")),
        ("[feed]\npositions = ['lat', 'lon']\n", "positions", ("a pair of field names", '"lat"')),
        ("[feed]\npositions = [['lat']]\n", "positions", ("a pair of field names",)),
        ("[feed]\npositions = 1\n", "positions", ("to be a list", '[["lat", "lon"]]')),
        ("[feed]\npositions=[['a','b']]\ncategories=['a']\n", "a", ("a position", "declared as category")),
        ("[feed]\npositions=[['a','a']]\n", "a", ("twice in 'positions'",)),
        ("[feed]\npositions=[['a','b'],['c','b']]\n", "b", ("twice in 'positions'",)),
        ("[feed]\nbudget = 20\n", "budget", ("20/day", "got 20")),
        ("[feed]\nbudget = '20/week'\n", "budget", ("20/day", '"20/week"')),
        ("[feed]\nbudget = '0/day'\n", "budget", ("20/day", '"0/day"')),
        ("[feed]\nbudget = '0.0/day'\n", "budget", ("20/day",)),
        ("[feed]\nbudget = '2/1000'\n", "budget", ("1/1000",)),
        ("[feed]\nname = 7\n", "name", ("'name'", "got 7")),
        ("[feed\n", None, ("expected TOML",)),
        ("[feed]\ntime = '" + "x" * 300 + "'\n", "time", ("1 to 256 characters", "(300 characters)")),
    ],
)
def test_a_wrong_declaration_names_what_is_wrong(
    text: str, field: str | None, words: tuple[str, ...]
) -> None:
    with pytest.raises(SchemaError) as caught:
        FeedSchema.from_toml(text)
    assert caught.value.code == "schema_invalid"
    assert caught.value.field == field
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("budget", ["20/day", "0.5/day", "1/1000", "1/2"])
def test_budgets_are_alerts_a_day_or_one_in_so_many(budget: str) -> None:
    assert FeedSchema.from_mapping({"feed": {"budget": budget}}).budget == budget


def test_bytes_that_are_no_utf8_are_told() -> None:
    with pytest.raises(SchemaError, match="UTF-8, byte 8 is not"):
        FeedSchema.from_toml(b"[feed]\n#\xff")


@pytest.mark.parametrize("obj", [None, [], "feed", 3])
def test_a_declaration_must_be_a_table(obj: object) -> None:
    with pytest.raises(SchemaError, match="expected a table"):
        FeedSchema.from_mapping(obj)
