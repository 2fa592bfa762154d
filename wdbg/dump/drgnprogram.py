"""A guest as a program of drgn's: types, memory, and its helpers for Linux.

drgn reads the shadow ELF and asks for memory. It takes the guest for an i386 kernel, for which it
has neither stack traces nor page tables: what needs those does not work, `frames` is instead of
the former.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symbols.shadow.addresses import KERNEL_BASE
from symbols.shadow.cache import cached_elf
from wdbg.dump.snapshot import Snapshot
from wdbg.dump.values import Value, frame_values
from wdbg.errors import BadInput

if TYPE_CHECKING:
    import drgn

_RELEASE_LIMIT = 64
_VMCOREINFO = (
    "OSRELEASE={release}\nPAGESIZE=4096\nKERNELOFFSET=0\n"
    "SYMBOL(swapper_pg_dir)=1000\nSYMBOL(_stext)={stext:x}\n"
    "NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)=-184549376\n"
)
"""What drgn wants to know of a kernel before it looks at it; there are no page tables. The number
is PGTY_slab << 24."""


def need_drgn() -> Any:
    """The module. BadInput if it is not installed."""
    try:
        import drgn
    except ImportError:
        raise BadInput("drgn is not installed", "pip install wdbg[drgn]") from None
    return drgn


def make_program(
    kernel: Path, size: int, read: Callable[[int, int], bytes], *, live: bool = False
) -> drgn.Program:
    """The program of a guest with `size` bytes of memory. BadInput if drgn refuses the kernel."""
    drgn = need_drgn()
    prog = drgn.Program(
        drgn.Platform(drgn.Architecture.I386, drgn.PlatformFlags.IS_LITTLE_ENDIAN)
    )
    elf = cached_elf(kernel)

    def segment(address: int, count: int, _offset: int, _physical: bool) -> bytes:
        try:
            return read(address, count)
        except Exception as error:  # drgn passes on its own kind of error only
            raise drgn.FaultError(str(error), address) from None

    release = _release(kernel)
    try:
        text = _VMCOREINFO.format(release=release, stext=KERNEL_BASE)
        prog.set_linux_kernel_custom(text.encode(), live)
        prog.add_memory_segment(0, size, segment, False)
        found = prog.extra_module("vmlinux", create=True)
        module = found[0] if isinstance(found, tuple) else found
        module.address_range = (1, KERNEL_BASE + (1 << 24))
        module.try_file(str(elf), force=True)
    except (AttributeError, LookupError, ValueError) as error:
        raise BadInput(f"drgn does not take {kernel}: {error}") from None
    return prog


def _release(kernel: Path) -> str:
    """The kernel's version, from its banner."""
    data = kernel.read_bytes()
    start = data.find(b"Linux version ")
    word = data[start + 14 : start + 14 + _RELEASE_LIMIT].split(b" ", 1)[0] if start >= 0 else b""
    text = word.decode("ascii", "replace")
    return text if text.isprintable() and text else "0.0.0"


@dataclass(frozen=True, slots=True)
class DrgnFrame:
    """A call of the source's; `frame["name"]` is one of its variables as an object of drgn's."""

    name: str
    file: str
    line: int
    is_inline: bool
    prog: Any
    values: tuple[Value, ...]

    def __str__(self) -> str:
        where = f" ({self.file}:{self.line})" if self.file else ""
        return f"{self.name}{where}{' inlined' if self.is_inline else ''}"

    def locals(self) -> list[str]:
        """Names of the variables in scope."""
        return [value.name for value in self.values]

    def __getitem__(self, name: str) -> Any:
        found = next((value for value in self.values if value.name == name), None)
        if found is None:
            raise KeyError(name)
        drgn = need_drgn()
        kind = self.prog.type(str(found.type))
        if found.address:
            return drgn.Object(self.prog, kind, address=found.address)
        if found.data is None:
            return drgn.Object(self.prog, kind)
        return drgn.Object.from_bytes_(self.prog, kind, found.data)


def frames_of(prog: Any, snapshot: Snapshot, task: Any) -> list[DrgnFrame]:
    """The kernel frames of a task (an object of drgn's, or a pid), innermost first."""
    index = snapshot.index
    if isinstance(task, int):
        address = next((a for a, facts in snapshot.facts.items() if facts.pid == task), 0)
    else:
        address = int(task.value_())
    state = snapshot.tasks.get(address)
    if state is None or index is None:
        return []
    found = []
    for level, frame in enumerate(frame for frame in state.frames if not frame.module):
        sources = index.frames_at(frame.offset - (level > 0))
        known = frame_values(snapshot, index, state, frame, outer=level > 0)
        for number, source in enumerate(sources):
            inlined = len(sources) - 1 - number
            values = tuple(value for value in known if value.inlined == inlined)
            found.append(
                DrgnFrame(source.name, source.file, source.line, source.inlined, prog, values)
            )
    return found
