#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Build the example guest: Linux with our arch/wasm, and its user space.

The result is cached by a hash of all that goes into it, in
${XDG_CACHE_HOME:-~/.cache}/wdbg/guest/KEY/: vmlinux.wasm, initrd.cpio, config, debug/, gdb/,
sources/, build-info.json.  `current/NAME` there is the newest build of each configuration.  The
same inputs give the same bytes on every machine.

Exit status: 0 built (or was built before), 1 a tool failed, 2 something is missing or wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from guestbuild import cache, configuration, gdbscripts, source, toolchain
from guestbuild.errors import BuildError
from guestbuild.kernel import KernelBuild
from guestbuild.progress import Progress

HERE = Path(__file__).resolve().parent
PATCHES = HERE / "patches"
ARCH = HERE / "arch" / "wasm"
CONFIGS = ARCH / "configs"
USER = HERE / "user"
BUGS = HERE.parent / "bugs"

FORMAT = "1"
"""Part of every key: another one makes all builds new."""
GUESSED_OBJECTS = 360
"""Objects of a first build, for its progress; later ones know the number of the last."""
KEPT_TREES, KEPT_PORTS = 2, 4


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be built, and the names of all its parts in the cache."""

    root: Path
    tarball: Path
    tarball_sha256: str
    llvm: toolchain.Llvm
    fragments: tuple[str, ...]
    settings: dict[str, str]
    tree: str
    port: str
    kernel: str
    gdb: str
    guest: str


def make_plan(args: argparse.Namespace) -> Plan:
    """Find the inputs; BuildError says what to install."""
    root = cache.cache_root()
    tarball = source.find_tarball(args.kernel_source)
    llvm = toolchain.find_llvm(args.llvm)
    fragments = tuple(sorted(set(args.config)))
    settings = configuration.merged(CONFIGS, fragments)
    sha256 = source.tarball_key(tarball, root / "tarballs.json")
    tree = source.tree_key(sha256, PATCHES)
    # a changed fragment concerns only the kernels that it is part of
    bugs = cache.key_of(*(path.read_bytes() for path in source.kernel_files(BUGS)))
    port = cache.key_of(tree, cache.files_key(ARCH, leave_out="configs"), bugs)
    script = (HERE / "guestbuild" / "kernel.py").read_bytes()
    kernel = cache.key_of(FORMAT, port, json.dumps(settings), llvm.version, script)
    gdb = cache.key_of(kernel, (HERE / "guestbuild" / "gdbscripts.py").read_bytes())
    guest = cache.key_of(kernel, gdb, cache.files_key(USER), Path(__file__).read_bytes())
    names = (f"tree/{tree}", f"port/{port}", f"kernel/{kernel}", f"gdb/{gdb}", guest)
    return Plan(root, tarball, sha256, llvm, fragments, settings, *names)


class Builder:
    """Makes the parts of a plan that the cache lacks."""

    def __init__(self, plan: Plan, jobs: int, progress: Progress) -> None:
        self.plan = plan
        self.jobs = jobs
        self.progress = progress

    def guest(self) -> Path:
        """The directory of the whole guest."""
        plan = self.plan
        place = plan.root / plan.guest
        if (place / "build-info.json").is_file():
            return place
        toolchain.check_tools()
        if re.search(r"[\s:]", str(plan.root)):
            raise BuildError(
                f"{plan.root}: a kernel cannot be built below a directory with a space or a colon "
                "in its name; set XDG_CACHE_HOME to another"
            )
        cache.sweep(plan.root)
        with self._locked(plan.guest), self._using(plan.tree), self._using(plan.port):
            if not (place / "build-info.json").is_file():
                self._source()
                self._kernel()
                self._gdb_scripts()
                self._user_space()
        cache.prune(plan.root, "port", KEPT_PORTS)
        cache.prune(plan.root, "tree", KEPT_TREES)
        return place

    def _source(self) -> None:
        plan, progress = self.plan, self.progress
        tree, port = plan.root / plan.tree, plan.root / plan.port
        with self._locked(f"make-{plan.tree}"):
            if not tree.is_dir():
                progress.begin(f"unpacking {plan.tarball.name}")
                with cache.making(plan.root, plan.tree) as work:
                    source.unpack(plan.tarball, work, progress.update)
                    source.apply_patches(work, PATCHES)
                progress.end()
            os.utime(tree)
        with self._locked(f"make-{plan.port}"):
            if not port.is_dir():
                with cache.making(plan.root, plan.port) as work:
                    source.overlay(tree, ARCH, BUGS, work)
            os.utime(port)

    def _kernel(self) -> None:
        plan, progress = self.plan, self.progress
        place = plan.root / plan.kernel
        with self._locked(plan.kernel):
            if place.is_dir():
                return
            objects = plan.root / "work" / f"objects-{place.name}"
            log = plan.root / "work" / f"{place.name}.log"
            cache.remove(objects)
            objects.mkdir(parents=True)
            log.unlink(missing_ok=True)
            build = KernelBuild(plan.root / plan.port, objects, plan.llvm, self.jobs, log)
            name = "+".join(plan.fragments) or "default"
            total, about = self._objects().get(name, GUESSED_OBJECTS), "of"
            if name not in self._objects():
                about = "of about"
            try:
                progress.begin(f"configuring the kernel ({name})")
                build.configure(plan.settings)
                progress.end()
                progress.begin(f"compiling the kernel ({name})")
                count = build.compile(
                    lambda n: progress.update(f"{n} {about} {max(total, n)} objects")
                )
                progress.end(f"{count} objects")
                with cache.making(plan.root, plan.kernel) as work:
                    build.keep(work)
                    (work / "release").write_text(build.release())
                self._objects({name: count})
                log.unlink()
            finally:
                cache.remove(objects)

    def _gdb_scripts(self) -> None:
        plan, progress = self.plan, self.progress
        with self._locked(plan.gdb):
            if (plan.root / plan.gdb).is_dir():
                return
            name = plan.gdb.replace("/", "-")
            objects = plan.root / "work" / f"objects-{name}"
            log = plan.root / "work" / f"{name}.log"
            cache.remove(objects)
            objects.mkdir(parents=True)
            log.unlink(missing_ok=True)
            build = KernelBuild(plan.root / plan.port, objects, plan.llvm, self.jobs, log)
            progress.begin("making the kernel's GDB scripts")
            try:
                with cache.making(plan.root, plan.gdb) as work:
                    if gdbscripts.wanted(plan.settings):
                        gdbscripts.install(build, plan.settings, work)
                log.unlink(missing_ok=True)
            finally:
                cache.remove(objects)
            progress.end()

    def _user_space(self) -> None:
        plan, progress = self.plan, self.progress
        kernel = plan.root / plan.kernel
        progress.begin("compiling user space")
        with cache.making(plan.root, plan.guest) as work:
            command = [
                sys.executable, str(USER / "build.py"),
                "--kernel-tree", str(plan.root / plan.port), "--build-dir", str(kernel / "kbuild"),
                "--llvm", str(plan.llvm.number), "--out", str(work),
            ]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise BuildError((done.stderr or done.stdout).strip(), done.returncode)
            cache.remove(work / "obj")
            for name in ("vmlinux.wasm", "config"):
                link_or_copy(kernel / name, work / name)
            for path in sorted(p for p in (plan.root / plan.gdb).rglob("*.py") if p.is_file()):
                target = work / "gdb" / path.relative_to(plan.root / plan.gdb)
                target.parent.mkdir(parents=True, exist_ok=True)
                link_or_copy(path, target)
            sources = work / "sources" / "user"
            shutil.copytree(USER, sources, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
            (work / "build-info.json").write_text(json.dumps(self._info(), indent=1) + "\n")
        progress.end()

    def _info(self) -> dict[str, object]:
        plan = self.plan
        return {
            "format": FORMAT,
            "release": (plan.root / plan.kernel / "release").read_text(),
            "fragments": list(plan.fragments),
            "kernel_source": plan.tarball.name,
            "kernel_source_sha256": plan.tarball_sha256,
            "llvm": plan.llvm.version,
            "source": f"../{plan.port}",
        }

    def _objects(self, new: dict[str, int] | None = None) -> dict[str, int]:
        """Numbers of objects of earlier builds, by configuration; adds new ones."""
        memo = self.plan.root / "objects.json"
        known: dict[str, int] = {}
        with contextlib.suppress(OSError, ValueError):
            known = json.loads(memo.read_text())
        if new:
            temporary = memo.with_name(f"{memo.name}.{os.getpid()}")
            temporary.write_text(json.dumps(known | new))
            temporary.replace(memo)
        return known

    @contextlib.contextmanager
    def _locked(self, name: str, shared: bool = False) -> Iterator[None]:
        def waiting() -> None:
            self.progress.note("guest: waiting for another build of the same")

        with cache.locked(self.plan.root, name, waiting, shared):
            yield

    def _using(self, name: str) -> contextlib.AbstractContextManager[None]:
        return self._locked(name, shared=True)


def link_or_copy(old: Path, new: Path) -> None:
    """The same file under another name if the file system can, else a copy."""
    try:
        new.hardlink_to(old)
    except OSError:
        shutil.copyfile(old, new)


def copy_out(place: Path, out: Path) -> None:
    """Copy a build to the user's directory, file by file, each complete before it has its name."""
    for path in sorted(p for p in place.rglob("*") if p.is_file()):
        target = out / path.relative_to(place)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        shutil.copyfile(path, temporary)
        temporary.replace(target)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Build the example guest.")
    add = parser.add_argument
    add("--kernel-source", type=Path, metavar="TARBALL",
        help=f"kernel source (default: the newest {source.TARBALLS / source.PATTERN})")  # fmt: skip
    add("--llvm", type=int, metavar="N", help="version of LLVM (default: the newest installed)")
    add("--config", action="append", default=[], metavar="FRAGMENT",
        help="change the configuration, may be repeated: "
        f"{', '.join(configuration.known_fragments(CONFIGS))}, or a file")  # fmt: skip
    add("--out", type=Path, metavar="DIR", help="put a copy of the result there")
    add("--jobs", type=int, default=len(os.sched_getaffinity(0)), metavar="N",
        help="how much to compile at once (default: %(default)s)")  # fmt: skip
    add("--print-key", action="store_true", help="print the name of the build and do nothing")
    add("--print-dir", action="store_true", help="print the directory of the build and do nothing")
    return parser.parse_args()


def terminated(number: int, _frame: object) -> None:
    """End like after Ctrl-C, so that no compiler goes on by itself."""
    raise SystemExit(128 + number)


def main() -> int:
    """Returns the exit status."""
    args = parse_arguments()
    signal.signal(signal.SIGTERM, terminated)
    progress = Progress()
    try:
        if args.jobs < 1:
            raise BuildError(f"--jobs {args.jobs}: at least 1 is needed")
        plan = make_plan(args)
        if args.print_key or args.print_dir:
            print(plan.root / plan.guest if args.print_dir else plan.guest)
            return 0
        place = Builder(plan, args.jobs, progress).guest()
        cache.point_current(plan.root, plan.fragments, place)
        if args.out is not None:
            copy_out(place, args.out)
            place = args.out
        progress.note(f"guest: {place / 'vmlinux.wasm'}")
    except BuildError as error:
        progress.abandon()
        print(f"guest: {error}", file=sys.stderr)
        return error.status
    except OSError as error:
        progress.abandon()
        print(f"guest: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        progress.abandon()
        print("guest: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
