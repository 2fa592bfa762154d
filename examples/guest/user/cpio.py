# SPDX-License-Identifier: GPL-2.0 OR MIT
"""cpio archives in the "newc" format, as the kernel unpacks them (init/initramfs.c)."""

from __future__ import annotations

from dataclasses import dataclass

S_IFDIR, S_IFCHR, S_IFREG = 0o040000, 0o020000, 0o100000


@dataclass(frozen=True, slots=True)
class Node:
    """One file system object of the archive; nodes with the same `inode` are hard links."""

    path: str
    mode: int
    inode: int
    links: int = 1
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def newc(nodes: list[Node]) -> bytes:
    """A cpio archive ("newc" format), owner root, all times zero.

    The data of hard links goes with the first of them (init/initramfs.c of the kernel).
    """
    out = bytearray()
    for node in [*nodes, Node("TRAILER!!!", 0, 0)]:
        name = node.path.encode() + b"\0"
        fields = (
            node.inode,
            node.mode,
            0,
            0,
            node.links,
            0,
            len(node.data),
            0,
            0,
            *node.device,
            len(name),
            0,
        )
        out += b"070701" + b"".join(b"%08X" % f for f in fields) + name
        out += bytes(-len(out) % 4)
        out += node.data
        out += bytes(-len(out) % 4)
    out += bytes(-len(out) % 512)
    return bytes(out)
