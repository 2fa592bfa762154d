"""A module of the stub's own, whose one function is below every stack that LLDB shows.

LLDB 22 has no values in a frame whose number, inlined frames counted, is not below the number of
frames without them: the outermost frames of every stack with inlined functions. So it is told of
one more frame below the stack for each inlined one, and these have to be somewhere.
"""

from __future__ import annotations

from typing import Final

from symbols.wasm.container import (
    SectionId,
    write_module,
    write_name,
    write_section,
    write_vector,
)
from symbols.wasm.leb import encode_unsigned

FUNCTION: Final = "end_of_stack"
_BODY: Final = b"\x02\x00\x0b"  # its size, no locals, end


def host_module() -> bytes:
    """The module's file."""
    names = write_vector([encode_unsigned(0) + write_name(FUNCTION)])
    return write_module(
        [
            (SectionId.TYPE, "", write_vector([b"\x60\x00\x00"])),
            (SectionId.FUNCTION, "", write_vector([b"\x00"])),
            (SectionId.CODE, "", write_vector([_BODY])),
            (SectionId.CUSTOM, "name", b"\x01" + encode_unsigned(len(names)) + names),
        ]
    )


def host_pc() -> int:
    """File offset of the function's only instruction."""
    return host_module().index(write_section(SectionId.CODE, write_vector([_BODY]))) + 5
