"""Where trainings keep their files: sets and last words in `training/`, uploads in `uploads/`.

Files of a job are named by it, so that what no unfinished job owns can be told and removed. Any thread.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from stream.snapshot import publish_file


class Folders:
    """The folders of one data directory."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.models = data / "models"
        self.training = data / "training"
        self.uploads = data / "uploads"

    def training_set(self, job_id: str) -> Path:
        """Return where a first training's set is."""
        return self.training / f"{job_id}.npz"

    def last_words(self, job_id: str) -> Path:
        """Return where a job's process writes what it has to say besides."""
        self.training.mkdir(parents=True, exist_ok=True)
        return self.training / f"{job_id}.log"

    def take_upload(self, path: Path, name: str) -> None:
        """Make a received file a job's own, durably."""
        self.uploads.mkdir(parents=True, exist_ok=True)
        with path.open("rb") as file:
            os.fsync(file.fileno())
        publish_file(path, self.uploads / name)

    def remove(self, job_id: str) -> None:
        """Remove everything that a job has here."""
        for folder in (self.training, self.uploads):
            for path in _of(folder, job_id):
                path.unlink(missing_ok=True)

    def keep_only(self, job_ids: Collection[str]) -> None:
        """Remove what belongs to no such job: a crash, or a cancelled job, left it."""
        for folder in (self.training, self.uploads):
            for path in folder.glob("*") if folder.is_dir() else ():
                if path.is_file() and path.name.partition(".")[0] not in job_ids:
                    path.unlink(missing_ok=True)


def _of(folder: Path, job_id: str) -> list[Path]:
    return list(folder.glob(f"{job_id}.*")) if folder.is_dir() else []
