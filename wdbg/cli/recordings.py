"""Recordings on the command line: what a run's file says of it, and the guest that a file names."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from wdbg.dump.container import Reader, is_dump
from wdbg.errors import BadInput
from wdbg.instrument.cache import instrumenter_version
from wdbg.runtime.boot import BootOptions
from wdbg.runtime.engine import ENGINE_CONFIG
from wdbg.runtime.guest import guest_root
from wdbg.runtime.kernel import read_module
from wdbg.runtime.recording import Recording, parse, read
from wdbg.runtime.scheduler import DEFAULT_DEPTH, Decision

_ENGINE = ENGINE_CONFIG.split(";")[0]
_KERNEL, _INITRD = "vmlinux.wasm", "initrd.cpio"


def digest(path: Path) -> str:
    """SHA-256 of a file. BadInput if it cannot be read."""
    return hashlib.sha256(read_module(path)).hexdigest()


def read_recording(path: Path) -> Recording:
    """The recording in a file, which may be a dump. BadInput if there is none."""
    if is_dump(path):
        return parse(Reader(path).read("recording"), str(path))
    return read(path)


def describe(options: BootOptions) -> Recording:
    """What a recording says of a run before it has begun."""
    initrd = options.initrd
    return Recording(
        kernel=digest(options.kernel),
        initrd="" if initrd is None else digest(initrd),
        kernel_path=str(options.kernel.resolve()),
        initrd_path="" if initrd is None else str(initrd.resolve()),
        command_line=options.command_line,
        cpus=options.cpus,
        memory=options.memory,
        seed=options.seed,
        schedule=options.schedule,
        policy={"depth": options.depth} if options.schedule == "pct" else {},
        needs=("cuts",) if options.cuts else (),
        decisions=options.decisions,
        frozen_clock=options.frozen_clock,
        wdbg=instrumenter_version(),
        engine=_ENGINE,
    )


def options_of(recording: Recording, kernel: Path | None, initrd: Path | None) -> BootOptions:
    """How to boot what was recorded. BadInput if its files are not to be found; `kernel` and
    `initrd` say where they are now."""
    return BootOptions(
        kernel=_locate("kernel", recording.kernel, kernel, recording.kernel_path, _KERNEL),
        initrd=(
            _locate("initrd", recording.initrd, initrd, recording.initrd_path, _INITRD)
            if recording.initrd
            else None
        ),
        command_line=recording.command_line,
        cpus=recording.cpus,
        memory=recording.memory,
        seed=recording.seed,
        schedule=recording.schedule,
        depth=recording.policy.get("depth", DEFAULT_DEPTH),
        decisions=tuple(Decision(*entry) for entry in recording.decisions),
        cuts="cuts" in recording.needs,
        frozen_clock=recording.frozen_clock,
    )


def _locate(what: str, wanted: str, named: Path | None, hint: str, built: str) -> Path:
    """The file with that hash: the one that is named, the one of then, or a built guest's."""
    if named is not None:
        found = digest(named)
        if found != wanted:
            raise BadInput(
                f"{named}: its SHA-256 is {found[:16]}…, the recorded run's {what} has "
                f"{wanted[:16]}…"
            )
        return named
    then = Path(hint)
    if hint and then.is_file() and digest(then) == wanted:
        return then
    for candidate in sorted(guest_root().glob(f"*/{built}")):
        if digest(candidate) == wanted:
            return candidate
    changed = f"{hint} is another one now" if hint and then.is_file() else f"{hint} is not here"
    raise BadInput(
        f"the recorded run's {what} (SHA-256 {wanted[:16]}…) cannot be found: {changed}",
        f"--{what} FILE says where it is",
    )


def differences(recording: Recording) -> list[str]:
    """What is not as it was, in words, and could make a replay part from its recording."""
    lines = []
    if recording.engine and recording.engine != _ENGINE:
        lines.append(f"recorded with {recording.engine}, this is {_ENGINE}")
    if recording.wdbg and recording.wdbg != instrumenter_version():
        lines.append("recorded with another version of wdbg's instrumenter")
    return lines


def warn(recording: Recording) -> None:
    """Say so."""
    for line in differences(recording):
        print(f"wdbg: {line}: a replay that differs will be noticed", file=sys.stderr)
