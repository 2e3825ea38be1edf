"""Simulators and replays beside the server: each a child process that sends over a socket like any producer.

A run belongs to the server: a thread of its own starts the child, waits for it and sums it up, so that the
child is tied to a thread that lives as long. At most `MAX_RUNNING` at a time and one a feed; the last
`KEPT` that have ended stay listed. Since the records are labelled, a run has a meter of what was caught.
Thread-safe: one lock, never held over anything slow.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from anomalyai.alert import rfc3339
from stream.errors import UnknownFeed
from web import child
from web.refusal import RequestError

if TYPE_CHECKING:
    from subprocess import Popen

    from stream.runtime import Runtime

__all__ = ["KEPT", "MAX_RUNNING", "Plan", "Run", "Runs"]

MAX_RUNNING = 4
KEPT = 20
POLL_S = 0.2
ERROR_CHARS = 500

Kind = Literal["fraud", "network", "replay"]
State = Literal["running", "stopped", "done", "failed"]

log = logging.getLogger("anomalyai.web")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent: a simulator's `rate` (records a second) and `anomaly_share`, or a file and its `speed`.

    `speed` is a multiple of event time, None does not wait; `records` ends a simulator after so many.
    """

    kind: Kind
    feed: str
    rate: float | None = None
    anomaly_share: float | None = None
    seed: int | None = None
    records: int | None = None
    speed: float | None = None
    file: str | None = None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run as everybody sees it; counts are the feed's since it began. `ended` is null while it runs."""

    id: str
    plan: Plan
    state: State
    started: str | None
    ended: str | None
    accepted: int
    alerts: int
    caught: int
    missed: int
    false_alarms: int
    error: str | None


class _Task:
    """A run under way: its plan may change, which starts its child anew where the feed ends."""

    def __init__(self, run_id: str, plan: Plan, path: Path | None, before: Mapping[str, int]) -> None:
        self.id = run_id
        self.plan = plan
        self.path = path
        self.before = before
        self.after: Mapping[str, int] | None = None
        self.state: State = "running"
        self.started_s = time.time()
        self.ended_s: float | None = None
        self.error: str | None = None
        self.stopping = threading.Event()
        self.changed = threading.Event()


class Runs:
    """The runs of one server; `stop` is set once, when it begins to stop."""

    def __init__(self, runtime: Runtime, data: Path, stop: threading.Event) -> None:
        self._runtime = runtime
        self._folder = data / "simulations"
        self._stop = stop
        self._lock = threading.Lock()
        self._tasks: dict[str, _Task] = {}
        self._number = 0
        shutil.rmtree(self._folder, ignore_errors=True)  # of servers before

    @property
    def folder(self) -> Path:
        """Where files to replay are received."""
        return self._folder

    def start(self, plan: Plan, url: str, path: Path | None = None) -> Run:
        """Begin a run that sends to the server at `url`; `path` is the file of a replay, which it then owns.

        Raises
        ------
        RequestError
            409: the feed has one, or as many as may run do.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        before = self._figures(plan.feed)
        with self._lock:
            running = [task for task in self._tasks.values() if task.state == "running"]
            if any(task.plan.feed == plan.feed for task in running):
                raise RequestError(
                    409, "simulation_runs", f"a run sends to the feed {plan.feed!r} already", field="feed"
                )
            if len(running) >= MAX_RUNNING:
                raise RequestError(
                    409, "too_many_simulations", f"{MAX_RUNNING} runs are under way", hint="stop one first"
                )
            self._number += 1
            task = _Task(f"{plan.kind}-{self._number}", plan, path, before)
            self._tasks[task.id] = task
            ended = [one.id for one in self._tasks.values() if one.state != "running"]
            for old in ended[: len(ended) - KEPT]:
                del self._tasks[old]
        keeper = threading.Thread(target=self._keep, args=(task, url), name=task.id, daemon=True)
        keeper.start()
        return self._view(task)

    def change(self, run_id: str, rate: float | None, anomaly_share: float | None) -> Run:
        """Let a simulator go on at another rate or share of anomalies.

        Raises
        ------
        RequestError
            404: there is no such run; 409: it has ended, or is a replay.
        """
        task = self._task(run_id)
        if task.state != "running" or task.plan.kind == "replay":
            raise RequestError(409, "not_steerable", f"the run {run_id} is no simulator under way")
        plan = msgspec.structs.replace(
            task.plan,
            rate=task.plan.rate if rate is None else rate,
            anomaly_share=task.plan.anomaly_share if anomaly_share is None else anomaly_share,
        )
        if plan != task.plan:
            task.plan = plan
            task.changed.set()
        return self._view(task)

    def end(self, run_id: str) -> Run:
        """Let a run stop; one that has ended stays as it is. Raises `RequestError` 404."""
        task = self._task(run_id)
        task.stopping.set()
        return self._view(task)

    def get(self, run_id: str) -> Run:
        """Return a run; raises `RequestError` 404."""
        return self._view(self._task(run_id))

    def all(self) -> list[Run]:
        """Return the runs, the newest first."""
        with self._lock:
            tasks = list(self._tasks.values())
        return [self._view(task) for task in reversed(tasks)]

    def _task(self, run_id: str) -> _Task:
        with self._lock:
            task = self._tasks.get(run_id)
        if task is None:
            raise RequestError(404, "unknown_simulation", f"there is no run {run_id[:80]!r}", field="id")
        return task

    def _view(self, task: _Task) -> Run:
        now = task.after or self._figures(task.plan.feed)
        since = {name: max(0, now[name] - task.before[name]) for name in now}
        return Run(
            id=task.id,
            plan=task.plan,
            state=task.state,
            started=rfc3339(task.started_s),
            ended=None if task.ended_s is None else rfc3339(task.ended_s),
            error=task.error,
            **since,
        )

    def _figures(self, feed: str) -> dict[str, int]:
        try:
            found: Mapping[str, Any] = self._runtime.feed(feed)
        except UnknownFeed:
            found = {"last_seq": 0, "alerts": 0, "truth": {}}
        counted = {name: found["truth"].get(name, 0) for name in ("caught", "missed", "false_alarms")}
        return {"accepted": found["last_seq"], "alerts": found["alerts"], **counted}

    def _keep(self, task: _Task, url: str) -> None:
        """Run children until the run is over; only this thread starts and ends them."""
        output = self._folder / f"{task.id}.log"
        state: State = "failed"
        try:
            state = self._send(task, url, output)
            if state == "failed":
                task.error = _last_line(output)
        except OSError as error:
            task.error = f"the child cannot be run: {error}"
            log.error("run %s: %s", task.id, task.error)
        finally:
            task.after = self._figures(task.plan.feed)
            task.ended_s = time.time()
            task.state = state
            for path in (output, task.path):
                if path is not None:
                    path.unlink(missing_ok=True)

    def _send(self, task: _Task, url: str, output: Path) -> State:
        while True:
            task.changed.clear()
            running = child.start(_arguments(task.plan, task.path, url), output)
            try:
                while running.poll() is None and not self._wanted(task):
                    task.stopping.wait(POLL_S)
            finally:
                by_itself = running.poll() is not None
                child.end(running)
            if by_itself:
                return _outcome(running)
            if task.stopping.is_set() or self._stop.is_set():
                return "stopped"

    def _wanted(self, task: _Task) -> bool:
        """Whether the child is to end."""
        return task.stopping.is_set() or task.changed.is_set() or self._stop.is_set()


def _outcome(ended: Popen[bytes]) -> State:
    return "done" if ended.returncode == 0 else "failed"


def _arguments(plan: Plan, path: Path | None, url: str) -> list[str]:
    """Return the console command of a plan."""
    if plan.kind == "replay":
        speed = "max" if plan.speed is None else str(plan.speed)
        return ["replay", str(path), "--name", plan.feed, "--speed", speed, "--to", url]
    given = {
        "--rate": plan.rate,
        "--anomaly-share": plan.anomaly_share,
        "--seed": plan.seed,
        "--records": plan.records,
    }
    options = [text for name, value in given.items() if value is not None for text in (name, str(value))]
    return ["simulate", plan.kind, "--name", plan.feed, *options, "--to", url]


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:ERROR_CHARS] if lines else "it ended without a word"
