#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR MIT
"""Build the guest's user space: one multi-call program and the initrd that holds it.

    build.py --kernel-tree TREE --build-dir KBUILD --llvm N --out DIR

TREE is a kernel source tree with arch/wasm in it, KBUILD its build directory (for the generated
headers), N the major version of LLVM.  DIR then has

    initrd.cpio      what the kernel unpacks: /init, /bin/*, device nodes, mount points
    debug/box.wasm   the program in full, with DWARF; the copy in the initrd has a section
                     "external_debug_info" that names it, and the same code section, byte for byte

The same inputs give the same bytes, wherever they lie.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cpio import S_IFCHR, S_IFDIR, S_IFREG, Node, newc
from wasmfile import RuleBroken, check_object, check_program, strip

USER = Path(__file__).resolve().parent
SOURCES = ("libc", "box", "sh", "work", "selftest")
PROGRAM = "box"


class BuildError(Exception):
    """A message for the user; the build stops."""


# ---- compiling


def compiler_flags(tree: Path, kbuild: Path) -> list[str]:
    """Flags of every compilation; header order: ours, nolibc's, the kernel's user-space headers."""
    headers = (
        tree / "tools/include/nolibc",
        tree / "arch/wasm/include/uapi",
        kbuild / "arch/wasm/include/generated/uapi",
        tree / "include/uapi",
        kbuild / "include/generated/uapi",
    )
    for path in headers:
        if not path.is_dir():
            raise BuildError(f"{path}: no such directory; has the kernel been built?")
    flags = [
        "--target=wasm32",
        "-std=gnu11",
        "-O2",
        "-g",
        "-fPIC",
        "-fvisibility=hidden",
        "-matomics",
        "-mbulk-memory",
        "-mmutable-globals",
        "-msign-ext",
        "-D__EXPORTED_HEADERS__",
        "-ffreestanding",
        "-fno-strict-aliasing",
        "-fno-common",
        "-nostdinc",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-Wno-unused-parameter",
        "-Wno-pointer-arith",
        "-Wno-int-to-pointer-cast",
        "-fdebug-compilation-dir=.",
        f"-ffile-prefix-map={USER}=user",
        f"-ffile-prefix-map={tree}=linux",
        f"-ffile-prefix-map={kbuild}=linux-build",
        f"-I{USER / 'include'}",
        f"-I{USER / 'libc'}",
        f"-I{USER / 'box'}",
        f"-I{USER / 'work'}",
    ]
    for path in headers:
        flags += ["-isystem", str(path)]
    return flags


def run(command: list[str]) -> None:
    """Run a tool; what it says is part of the error."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise BuildError(f"{command[0]}: not found") from error
    if done.returncode or done.stderr:
        raise BuildError(f"{' '.join(command)}\n{done.stdout}{done.stderr}".rstrip())


def compile_program(tree: Path, kbuild: Path, llvm: str, out: Path) -> bytes:
    """The linked program with its DWARF."""
    flags = compiler_flags(tree, kbuild)
    sources = [p for d in SOURCES for p in sorted((USER / d).iterdir()) if p.suffix in (".c", ".S")]
    sources.sort(key=lambda p: p.name != "start.S")  # first on the link line: see there
    objects = []
    jobs = []
    (out / "obj").mkdir(parents=True, exist_ok=True)
    for source in sources:
        name = str(source.relative_to(USER)).replace("/", "-") + ".o"
        objects.append(str(out / "obj" / name))
        jobs.append([f"clang-{llvm}", *flags, "-c", str(source), "-o", objects[-1]])
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        list(pool.map(run, jobs))
    for path in objects:
        check_object(Path(path).read_bytes())
    linked = out / "debug" / f"{PROGRAM}.wasm"
    linked.parent.mkdir(parents=True, exist_ok=True)
    run(
        [
            f"wasm-ld-{llvm}",
            "-shared",
            "--experimental-pic",
            "--shared-memory",
            "--import-memory",
            "--max-memory=4294967296",
            "--no-entry",
            "--no-check-features",
            "-o",
            str(linked),
            *objects,
        ]
    )
    return linked.read_bytes()


# ---- the initrd


def applets() -> list[str]:
    """Names under which the program is installed in /bin: its own list of them."""
    text = (USER / "box/applets.h").read_text()
    names = re.findall(r"^\s*X\((\w+),\s*\"([^\"]+)\"\)", text, re.M)
    return [name for _, name in names if name != "init"]


def initrd(program: bytes) -> bytes:
    """The archive: device nodes for before /dev is mounted, mount points, one program."""
    nodes: list[Node] = []

    for path in ("dev", "proc", "sys", "tmp", "bin", "etc", "root"):
        nodes.append(Node(path, S_IFDIR | 0o755, len(nodes) + 1, links=2))
    for path, device in (("dev/console", (5, 1)), ("dev/null", (1, 3))):
        nodes.append(Node(path, S_IFCHR | 0o600, len(nodes) + 1, device=device))
    names = ["init", *(f"bin/{name}" for name in [PROGRAM, *applets()])]
    inode = len(nodes) + 1
    for n, name in enumerate(names):
        nodes.append(Node(name, S_IFREG | 0o755, inode, len(names), b"" if n else program))
    return newc(nodes)


def main() -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Build the guest's user space.")
    parser.add_argument(
        "--kernel-tree", type=Path, required=True, help="kernel source with arch/wasm"
    )
    parser.add_argument(
        "--build-dir", type=Path, required=True, help="the kernel's build directory"
    )
    parser.add_argument("--llvm", required=True, help="major version of clang and wasm-ld")
    parser.add_argument("--out", type=Path, required=True, help="directory for the results")
    args = parser.parse_args()
    try:
        out = args.out.resolve()
        wasm = compile_program(args.kernel_tree.resolve(), args.build_dir.resolve(), args.llvm, out)
        check_program(wasm)
        archive = initrd(strip(wasm, f"debug/{PROGRAM}.wasm"))
        partial = out / "initrd.cpio.partial"
        partial.write_bytes(archive)
        partial.replace(out / "initrd.cpio")
    except (BuildError, RuleBroken, OSError) as error:
        print(f"user space: {error}", file=sys.stderr)
        return 2
    print(f"{out / 'initrd.cpio'}: {len(archive)} bytes, {len(applets())} programs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
