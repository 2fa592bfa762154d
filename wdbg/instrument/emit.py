"""A small assembler: instructions as bytes, for the code that rewriting generates."""

from __future__ import annotations

from symbols.wasm.leb import encode_signed, encode_unsigned
from symbols.wasm.opcodes import BY_NAME
from symbols.wasm.types import ValueType

END = b"\x0b"
ELSE = b"\x05"
RETURN = b"\x0f"
UNREACHABLE = b"\x00"
DROP = b"\x1a"
VOID = b"\x40"


def op(name: str, *indices: int) -> bytes:
    """An instruction whose immediates are unsigned indices (or none)."""
    return BY_NAME[name].encoding + b"".join(encode_unsigned(i) for i in indices)


def i32_const(value: int) -> bytes:
    """``value`` as signed or unsigned 32 bits."""
    return b"\x41" + encode_signed((value & 0xFFFFFFFF ^ 0x80000000) - 0x80000000)


def i64_const(value: int) -> bytes:
    """``value`` as signed 64 bits."""
    return b"\x42" + encode_signed(value)


def access(name: str, memory: int, offset: int = 0, align: int | None = None) -> bytes:
    """A load or store; ``align`` is the exponent, natural alignment if None."""
    exponent = _natural(name) if align is None else align
    argument = bytes((exponent,)) if not memory else bytes((exponent | 0x40,))
    return (
        BY_NAME[name].encoding
        + argument
        + (encode_unsigned(memory) if memory else b"")
        + encode_unsigned(offset)
    )


def _natural(name: str) -> int:
    width = name.split(".", 1)[1].removeprefix("atomic.").removeprefix("load").removeprefix("store")
    for size, exponent in (("8", 0), ("16", 1), ("32", 2)):
        if width.startswith(size):
            return exponent
    return 2 if name.startswith(("i32", "f32")) else 3


def block(body: bytes, kind: bytes = VOID) -> bytes:
    """block ... end"""
    return b"\x02" + kind + body + END


def loop(body: bytes, kind: bytes = VOID) -> bytes:
    """loop ... end"""
    return b"\x03" + kind + body + END


def if_(body: bytes, kind: bytes = VOID) -> bytes:
    """if ... end; the condition is on the stack."""
    return b"\x04" + kind + body + END


def try_table(body: bytes, tag: int, label: int) -> bytes:
    """try_table with one clause ``catch tag label``; the label counts from outside the block."""
    clause = b"\x00" + encode_unsigned(tag) + encode_unsigned(label)
    return b"\x1f" + VOID + b"\x01" + clause + body + END


def function(body: bytes, local_types: tuple[ValueType, ...] = ()) -> bytes:
    """A code entry with its size: ``body`` without the final end."""
    groups = encode_unsigned(len(local_types)) + b"".join(bytes((1, t)) for t in local_types)
    code = groups + body + END
    return encode_unsigned(len(code)) + code
