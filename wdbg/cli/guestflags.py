"""What is booted: the flags that all commands which boot a guest share."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_guest_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them: kernel, config, initrd, append, cpus, memory."""
    add = parser.add_argument
    add("kernel", nargs="?", type=Path, metavar="KERNEL",
        help="vmlinux.wasm (default: the built example guest)")  # fmt: skip
    add("--config", action="append", default=[], metavar="FRAGMENT",
        help="use the example guest built with this configuration fragment")  # fmt: skip
    add("--initrd", type=Path, metavar="FILE", help="initramfs, a newc cpio archive")
    add("--append", default="", metavar="TEXT", help="kernel command line")
    add("--cpus", type=int, default=4, metavar="N", help="virtual CPUs (default 4)")
    add("--memory", type=int, default=128, metavar="MIB", help="guest memory (default 128)")
