"""The virtual environment .venv with wdbg in it, made once for each set of dependencies."""

import hashlib
import json
import os
import shutil
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

from provision.progress import CommandFailed, Progress, SetupError, no_network

STAMP = "wdbg-setup.json"
"""Written into the environment last: an environment without it is not finished."""


def make_environment(progress: Progress, tree: Path, extras: frozenset[str]) -> Path:
    """Make `tree`/.venv or keep it; return its Python. `extras` are names of pyproject's extras.

    Raises SetupError when an installation fails.
    """
    venv = tree / ".venv"
    python = venv / "bin" / "python"
    wanted = fingerprint(tree)
    present, installed = _read_stamp(venv / STAMP)
    kept = present == wanted and python.exists()
    if not kept:
        installed = frozenset()
    elif extras <= installed:
        return python
    extras |= installed
    with progress.step("Python packages in .venv"):
        try:
            if not kept:
                shutil.rmtree(venv, ignore_errors=True)
                progress.run([sys.executable, "-m", "venv", str(venv)])
            (venv / STAMP).unlink(missing_ok=True)
            progress.run(_pip(python, tree, extras), _pip_variables())
            stamp = {"fingerprint": wanted, "extras": sorted(extras)}
            (venv / STAMP).write_text(json.dumps(stamp) + "\n", encoding="utf-8")
        except CommandFailed as failure:
            raise SetupError(why_it_failed(failure.output, progress.log_path)) from None
    return python


def _pip(python: Path, tree: Path, extras: frozenset[str]) -> list[str]:
    target = f"{tree}[{','.join(sorted(extras))}]" if extras else str(tree)
    quiet = ["--disable-pip-version-check", "--no-input", "--retries", "2", "--timeout", "20"]
    return [str(python), "-m", "pip", "install", *quiet, "--editable", target]


def _pip_variables() -> Mapping[str, str]:
    # A PYTHONPATH of the caller would hide packages that the environment lacks.
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def fingerprint(tree: Path) -> str:
    """Changes when the environment must be made anew: dependencies, Python, or the tree's place."""
    with (tree / "pyproject.toml").open("rb") as file:
        declared = tomllib.load(file)
    project = declared["project"]
    parts = (
        declared["build-system"]["requires"],
        project["dependencies"],
        project["optional-dependencies"],
        project["scripts"],
        sys.version,
        sys.base_prefix,
        str(tree),
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _read_stamp(path: Path) -> tuple[str, frozenset[str]]:
    """Fingerprint and extras of the environment that is there; empty if it is not finished."""
    try:
        stamp = json.loads(path.read_text(encoding="utf-8"))
        return str(stamp["fingerprint"]), frozenset(map(str, stamp["extras"]))
    except (OSError, ValueError, KeyError, TypeError):
        return "", frozenset()


def why_it_failed(output: str, log: Path) -> str:
    """One line about a failed installation, from what pip printed."""
    if no_network(output):
        return "no network: pip can't fetch wdbg's Python packages; connect and run again"
    if "No space left" in output:
        return "disk full: pip can't install wdbg's Python packages"
    if "SSLCertVerificationError" in output:
        return "pip does not trust the package index's certificate; see ca-certificates, PIP_CERT"
    lines = [line.strip() for line in output.splitlines()]
    errors = [line for line in lines if line.startswith("ERROR: ")]
    why = errors[-1].removeprefix("ERROR: ") if errors else "the installation failed"
    return f"pip: {why} (log: {log})"
