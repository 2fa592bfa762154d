"""Small programs with DWARF, compiled with the LLVM that builds the guest."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from provision.needs import llvm_versions

HERE = Path(__file__).parent
LEVELS = ("0", "1", "2", "g")
VERSIONS = (4, 5)


@dataclass(frozen=True)
class Sample:
    """How a sample is compiled."""

    level: str
    version: int
    extra: tuple[str, ...] = ()
    source: str = "sample.c"

    def __str__(self) -> str:
        return "-".join((f"dwarf{self.version}", f"O{self.level}", self.source, *self.extra))


SAMPLES = [Sample(level, version) for version in VERSIONS for level in LEVELS]
ODD = [
    Sample("2", 5, ("--target=wasm64",)),
    Sample("2", 4, ("--target=wasm64",)),
    Sample("1", 4, ("-fPIC",)),
    Sample("2", 5, ("-fPIC",)),
    Sample("1", 3),
    Sample("2", 2),
    Sample("2", 5, source="sample.cc"),
    Sample("0", 4, source="sample.cc"),
]
"""Forms that neither the guest nor its programs have."""


@cache
def tool(name: str) -> str:
    """`name` of the newest LLVM; the guest cannot be built without one."""
    return f"{name}-{llvm_versions(os.environ['PATH'])[0]}"


def run(*arguments: object) -> str:
    """Output of a command that must succeed."""
    done = subprocess.run(
        [str(a) for a in arguments], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def compile_sample(sample: Sample, directory: Path) -> Path:
    """The linked module: only what `entry` reaches, so that there are tombstones."""
    units = [HERE / sample.source]
    if sample.source == "sample.c":
        units.append(HERE / "other.c")
    objects = []
    for unit in units:
        target = directory / f"{sample}-{unit.stem}.o"
        run(
            tool("clang"), "--target=wasm32", f"-O{sample.level}", f"-gdwarf-{sample.version}",
            "-ffunction-sections", "-fno-exceptions", *sample.extra, "-c", unit, "-o", target,
        )  # fmt: skip
        objects.append(target)
    linked = directory / f"{sample}.wasm"
    shared = ("--experimental-pic", "-shared") if "-fPIC" in sample.extra else ("--no-entry",)
    wide = ("-mwasm64",) if "--target=wasm64" in sample.extra else ()
    run(
        tool("wasm-ld"), *wide, *shared, "--gc-sections", "--export=entry", "--allow-undefined",
        *objects, "-o", linked,
    )  # fmt: skip
    return linked
