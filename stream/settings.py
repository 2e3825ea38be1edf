"""Every setting of the program, as data: name, default, bounds and help stand in the structs below.

Values come, weakest first, from the defaults, a TOML file (`[server]`, `port = 8000`), the environment
(`ANOMALYAI_SERVER__PORT`; lists are comma-separated) and the command line. A key that is not in the table is
refused with its name. Pure apart from reading the file; nothing is read at import.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from anomalyai.errors import shorten
from stream.errors import SettingsError

PREFIX = "ANOMALYAI_"
FILE_VARIABLE = "ANOMALYAI_CONFIG"
OTHER_VARIABLES = frozenset(
    {FILE_VARIABLE, "ANOMALYAI_REQUIRE_ASSETS", "ANOMALYAI_STREAMS", "ANOMALYAI_SCREENSHOTS"}
)
"""Names that say something to the build or to the tests and are no settings."""

KIB = 1024
MIB = 1024 * KIB


class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the server listens, and how much one client may ask of it."""

    host: Annotated[str, Meta(min_length=1, description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on; 0 picks a free one.")] = 8000
    allowed_hosts: Annotated[
        tuple[str, ...], Meta(description="Names accepted in the Host header besides loopback names.")
    ] = ()
    allowed_origins: Annotated[
        tuple[str, ...], Meta(description="Origins of other pages that may call the API.")
    ] = ()
    max_body_bytes: Annotated[int, Meta(ge=KIB, description="Largest HTTP request body, in bytes.")] = (
        64 * MIB
    )
    max_frame_bytes: Annotated[int, Meta(ge=KIB, description="Largest WebSocket frame, in bytes.")] = 8 * MIB
    max_sockets: Annotated[
        int, Meta(ge=1, le=10_000, description="WebSockets open at once; each holds two threads.")
    ] = 500
    log_format: Annotated[
        Literal["text", "json"],
        Meta(description="How stderr is written: text for people, or one JSON object a line."),
    ] = "text"

    ping_interval_s: Annotated[
        float,
        Meta(ge=0.1, le=3600, description="Seconds between pings; who answers none by the next is dropped."),
    ] = 25.0
    send_timeout_s: Annotated[
        float,
        Meta(ge=0.1, le=600, description="Seconds for one message; a socket that takes longer is cut off."),
    ] = 5.0


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a record counts as durable, and how long it is kept."""

    durability: Annotated[
        Literal["fsync", "os"],
        Meta(
            description="Acknowledge after the disk has it (fsync: survives a power cut) "
            "or after the operating system has it (os: survives only the end of the process)."
        ),
    ] = "fsync"
    max_age_days: Annotated[
        float, Meta(ge=0, description="Days that records are kept at least; 0 sets no age.")
    ] = 0.0
    max_size_bytes: Annotated[
        int,
        Meta(ge=0, description="Size of the database from which on the oldest records go; 0 sets no size."),
    ] = 32 * 1024 * MIB


class Engine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How records are gathered, how many may wait, and how often state is saved."""

    max_batch_records: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Records that close a micro-batch.")
    ] = 10_000
    max_batch_age_ms: Annotated[float, Meta(ge=0, le=1_000, description="Age that closes a micro-batch.")] = (
        20.0
    )
    max_backlog_records: Annotated[
        int, Meta(ge=1, description="Records that may wait for the engine before senders are held back.")
    ] = 50_000
    max_backlog_bytes: Annotated[
        int, Meta(ge=MIB, description="Bytes that may wait for the engine before senders are held back.")
    ] = 256 * MIB
    max_wait_s: Annotated[
        float, Meta(ge=0, le=60, description="How long an HTTP sender is held back before it gets 429.")
    ] = 2.0
    snapshot_every_records: Annotated[
        int, Meta(ge=1, description="Records after which a feed's state is saved.")
    ] = 500_000
    snapshot_every_s: Annotated[
        float, Meta(ge=0.1, description="Seconds after which a feed's changed state is saved.")
    ] = 60.0


class Feed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a new feed starts with, and how many there may be."""

    budget: Annotated[
        str,
        Meta(
            pattern=r"^\s*(\d+(\.\d+)?\s*/\s*(day|d)|1\s*/\s*\d+(\.\d+)?)\s*$",
            description="Alert budget of a new feed that declares none, e.g. 20/day or 1/1000.",
        ),
    ] = "1/1000"
    policy: Annotated[
        Literal["block", "sample", "shed"],
        Meta(
            description="What to do while producers stay faster than scoring: block holds them back, "
            "sample takes an even share, shed drops what does not fit."
        ),
    ] = "block"
    policies: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}=(block|sample|shed)$")], ...],
        Meta(description="Feeds with a policy of their own, e.g. clicks=sample."),
    ] = ()
    max_feeds: Annotated[int, Meta(ge=1, le=10_000, description="Feeds that may exist.")] = 200
    max_producers: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Producer names remembered in one feed.")
    ] = 10_000


class Predict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is scored without being kept."""

    max_upload_bytes: Annotated[
        int, Meta(ge=KIB, description="Largest body or file to score, in bytes, unpacked.")
    ] = 1024 * MIB


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a feed's model is trained beside the engine."""

    max_attempts: Annotated[int, Meta(ge=1, le=100, description="Times a failing training is tried.")] = 3
    max_duration_s: Annotated[
        float, Meta(ge=1, description="Seconds after which a training is given up.")
    ] = 900.0
    max_upload_bytes: Annotated[
        int, Meta(ge=KIB, description="Largest file to train on, in bytes, unpacked.")
    ] = 1024 * MIB
    max_queued: Annotated[
        int, Meta(ge=1, le=1_000, description="Trainings that may wait for the one that runs.")
    ] = 16
    max_jobs: Annotated[int, Meta(ge=1, le=100_000, description="Finished trainings that stay listed.")] = (
        1_000
    )


class Retraining(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a feed's model is trained again, and what it must keep to before it goes live by itself."""

    every_s: Annotated[
        float, Meta(ge=0, description="Seconds after which a feed's model is trained again; 0 never does.")
    ] = 86_400.0
    every_records: Annotated[
        int, Meta(ge=1, description="Records that a feed must have had since its model was trained.")
    ] = 10_000
    on_drift: Annotated[bool, Meta(description="Train again when a feed drifts.")] = True
    cooldown_s: Annotated[
        float, Meta(ge=0, description="Seconds between a retraining and one for a drift after it.")
    ] = 3_600.0
    last_s: Annotated[
        float, Meta(ge=0, description="Seconds of the log that are trained on; 0 takes all of it.")
    ] = 604_800.0
    gate_records: Annotated[
        int, Meta(ge=500, le=200_000, description="Latest records that a new model is compared on.")
    ] = 20_000
    rate_factor: Annotated[
        float,
        Meta(ge=1, le=100, description="How far its alert rate may be from the promised one, as a factor."),
    ] = 3.0
    min_agreement: Annotated[
        float,
        Meta(ge=0, le=1, description="Share of the records flagged by either model that both must flag."),
    ] = 0.5
    max_precision_loss: Annotated[
        float, Meta(ge=0, le=1, description="How much lower its average precision may be, where labels are.")
    ] = 0.05
    max_decisions: Annotated[
        int, Meta(ge=10, le=10_000, description="Decisions on retrainings that are kept of each feed.")
    ] = 200


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings; `Settings()` holds the defaults."""

    data: Annotated[str, Meta(min_length=1, description="Directory of log, state and models.")] = (
        "./anomalyai-data"
    )
    server: Server = Server()
    log: Log = Log()
    engine: Engine = Engine()
    feed: Feed = Feed()
    predict: Predict = Predict()
    training: Training = Training()
    retraining: Retraining = Retraining()

    @property
    def data_path(self) -> Path:
        """The data directory as a path."""
        return Path(self.data)


class Setting(NamedTuple):
    """One row of the settings table."""

    name: str
    variable: str
    default: str
    help: str


def table() -> list[Setting]:
    """Return a row for every setting, in the order of the structs.

    Examples
    --------
    >>> [row.variable for row in table()][:2]
    ['ANOMALYAI_DATA', 'ANOMALYAI_SERVER__HOST']
    """
    return [
        Setting(".".join(path), _variable(path), _shown(default), description)
        for path, default, description in _leaves(Settings, ())
    ]


def load(
    path: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Gather the settings.

    `path` is a TOML file (else the one that ANOMALYAI_CONFIG names, if any), `environ` the environment (else
    the process's own), `overrides` dotted names with values, e.g. `{"server.port": 0}`; None overrides
    nothing.

    Raises
    ------
    SettingsError
        A key is unknown, a value is of the wrong type or out of range, or the file cannot be read.
    """
    variables = os.environ if environ is None else environ
    if path is None and variables.get(FILE_VARIABLE):
        path = Path(variables[FILE_VARIABLE])
    merged: dict[str, Any] = {} if path is None else _from_file(path)
    _convert(merged, source=str(path))
    _merge(merged, _from_environment(variables))
    _convert(merged, source="the environment")
    for name, value in (overrides or {}).items():
        if value is not None:
            _put(merged, name.split("."), value)
    return _convert(merged, source="the command line")


def _leaves(
    struct: type[msgspec.Struct], above: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Any, str]]:
    for field in msgspec.structs.fields(struct):
        path = (*above, field.name)
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from _leaves(field.type, path)
        else:
            metas = [meta for meta in field.type.__metadata__ if meta.description]
            yield path, field.default, metas[0].description


def _variable(path: tuple[str, ...]) -> str:
    return PREFIX + "__".join(part.upper() for part in path)


def _shown(default: object) -> str:
    return ",".join(default) if isinstance(default, tuple) else str(default)


def _from_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the settings file {path}: {error}", field=str(path)) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"the settings file {path} is not TOML: {error}", field=str(path)) from error


def _from_environment(variables: Mapping[str, str]) -> dict[str, Any]:
    known = {_variable(path): (path, default) for path, default, _ in _leaves(Settings, ())}
    found: dict[str, Any] = {}
    for variable, text in sorted(variables.items()):
        if not variable.startswith(PREFIX) or variable in OTHER_VARIABLES:
            continue
        if variable not in known:
            near = [name for name in known if name.replace("_", "") == variable.replace("_", "")]
            hint = f"did you mean {near[0]}?" if near else "README lists the settings"
            raise SettingsError(
                f"the environment variable {variable} is not a setting", field=variable, hint=hint
            )
        path, default = known[variable]
        parts = [part.strip() for part in text.split(",") if part.strip()]
        _put(found, path, parts if isinstance(default, tuple) else text)
    return found


def _put(into: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for part in path[:-1]:
        into = into.setdefault(part, {})
    into[path[-1]] = value


def _merge(into: dict[str, Any], stronger: dict[str, Any]) -> None:
    for name, value in stronger.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value


def _convert(values: dict[str, Any], source: str) -> Settings:
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at `$")
        name = where.rstrip("`").lstrip(".")
        found: Any = values
        for part in name.split(".") if name else ():
            found = found.get(part) if isinstance(found, dict) else None
        came = f" at {name}, came {shorten(found)}" if name and not isinstance(found, dict) else ""
        raise SettingsError(
            f"{source}: {text}{came}",
            field=name or None,
            hint="README lists the settings with their defaults",
        ) from error
