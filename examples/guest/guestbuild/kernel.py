# SPDX-License-Identifier: GPL-2.0-only
"""Configure and compile a kernel."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .configuration import lost
from .errors import BuildError
from .toolchain import Llvm

FIXED = {
    "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 2026",
    "KBUILD_BUILD_USER": "wdbg",
    "KBUILD_BUILD_HOST": "wdbg",
    "KBUILD_BUILD_VERSION": "1",
    "LOCALVERSION": "",
    "LC_ALL": "C",
    "TZ": "UTC",
}
"""What would otherwise differ from build to build and show in the kernel."""

UNWANTED = re.compile(
    r"(KBUILD_|KCONFIG_|MAKE|MFLAGS|[KC](C|A|PP|LD)?FLAGS|LDFLAGS|ARCH$|CROSS_|LLVM|[VWO]$)"
)
"""Variables that change a kernel's build; a make above us sets some."""

HEADERS = ("arch/wasm/include/generated/uapi", "include/generated/uapi")
"""Generated headers that programs are compiled with."""

_OBJECT = re.compile(rb"^  (?:CC|AS|HOSTCC) ")


@dataclass(frozen=True, slots=True)
class KernelBuild:
    """One compilation: directories and choices."""

    source: Path
    objects: Path
    llvm: Llvm
    jobs: int
    log: Path

    def make(self, *arguments: str, line: Callable[[bytes], None] = lambda _: None) -> None:
        """Run make; `line` sees every line of its output.  BuildError has what went wrong."""
        environment = {k: v for k, v in os.environ.items() if not UNWANTED.match(k)} | FIXED
        number = self.llvm.number
        command = [
            "make", "-C", str(self.source), f"O={self.objects}", f"-j{self.jobs}",
            "ARCH=wasm", f"LLVM=-{number}", f"LD=wasm-ld-{number}", *arguments,
        ]  # fmt: skip
        errors: list[str] = []
        with self.log.open("ab") as log, subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=environment, start_new_session=True,
        ) as make:  # fmt: skip
            assert make.stdout is not None
            try:
                for text in make.stdout:
                    log.write(text)
                    line(text)
                    if b"error:" in text or b"undefined symbol" in text or b"*** " in text:
                        errors.append(text.decode(errors="replace").strip())
            except BaseException:
                # a group of its own, so that none of make's children goes on
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(make.pid, signal.SIGTERM)
                raise
        if make.returncode:
            reason = errors[0] if errors else f"make ended with status {make.returncode}"
            raise BuildError(f"{reason} (all of it in {self.log})", 1)

    def configure(self, asked: dict[str, str]) -> None:
        """Write .config: what is asked for, and what that needs; all else off."""
        fragment = self.objects / "fragment"
        fragment.write_text("".join(f"{k}={v}\n" for k, v in asked.items()))
        self.make(f"KCONFIG_ALLCONFIG={fragment}", "allnoconfig")
        missing = lost(asked, (self.objects / ".config").read_text())
        if missing:
            raise BuildError(f"this kernel cannot be configured with {', '.join(missing)}")

    def compile(self, progress: Callable[[int], None]) -> int:
        """Make vmlinux.wasm; `progress` gets the number of objects compiled.  Returns it, too."""
        count = 0

        def line(text: bytes) -> None:
            nonlocal count
            if _OBJECT.match(text):
                count += 1
                progress(count)

        self.make("vmlinux.wasm", line=line)
        return count

    def release(self) -> str:
        """Such as "6.12.117-wdbg"."""
        return (self.objects / "include/config/kernel.release").read_text().strip()

    def keep(self, out: Path) -> None:
        """Put the results into `out`: kernel, configuration, generated headers."""
        shutil.copyfile(self.objects / "vmlinux.wasm", out / "vmlinux.wasm")
        shutil.copyfile(self.objects / ".config", out / "config")
        for directory in HEADERS:
            shutil.copytree(
                self.objects / directory, out / "kbuild" / directory,
                ignore=shutil.ignore_patterns(".*"),
            )  # fmt: skip
