"""The guest's shell does what the shell of the machine does: the same scripts, both outputs."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.guest

SCRIPTS = Path(__file__).with_name("shell-scripts.txt")
"""Separated by empty lines."""


def test_scripts_give_what_the_machines_shell_gives(run, guest_initrd, tree, tmp_path):
    path = tree / "examples/guest/user/cpio.py"
    spec = importlib.util.spec_from_file_location("cpio", path)
    cpio = sys.modules["cpio"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cpio)
    scripts = SCRIPTS.read_text().rstrip("\n").split("\n\n")
    nodes = [cpio.Node("t", cpio.S_IFDIR | 0o755, 1, 2)]
    for number, text in enumerate(scripts):
        nodes.append(
            cpio.Node(f"t/{number:03}", cpio.S_IFREG | 0o644, number + 2, 1, f"{text}\n".encode())
        )
    initrd = tmp_path / "initrd.cpio"
    initrd.write_bytes(guest_initrd.read_bytes() + cpio.newc(nodes))
    done = run(
        "--initrd", initrd, "--exec",
        "export T=/tmp/T; mkdir $T; cd $T; for i in /t/*; do "
        'echo "=== $i"; sh $i 2>/dev/null < /dev/null; echo "--- $?"; done',
    )  # fmt: skip
    assert done.status == 0, done.messages
    found = dict(re.findall(r"^=== /t/(\d+)\n(.*?^--- \d+)\n", done.console, re.M | re.S))
    work = tmp_path / "T"
    work.mkdir()
    different = []
    for number, text in enumerate(scripts):
        (tmp_path / "script").write_text(f"{text}\n")
        here = subprocess.run(
            ["sh", tmp_path / "script"], capture_output=True, text=True, cwd=work,
            stdin=subprocess.DEVNULL, env={"T": str(work), "PATH": "/usr/bin:/bin", "HOME": "/"},
        )  # fmt: skip
        expected = f"{here.stdout}--- {here.returncode}"
        if found.get(f"{number:03}") != expected:
            different.append((text, expected, found.get(f"{number:03}")))
    assert not different
