"""Operators by the type of their result, for the generator of random modules."""

from __future__ import annotations

from symbols.wasm.opcodes import BY_NAME
from symbols.wasm.types import ValueType

I32, I64, F32, F64 = ValueType.I32, ValueType.I64, ValueType.F32, ValueType.F64
NUMBERS = (I32, I64, F32, F64)


def words(text: str) -> list[str]:
    return text.split()


_INT = words("add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr")
_FLOAT = words("add sub mul div min max copysign")
_ICMP = words("eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u")
_FCMP = words("eq ne lt gt le ge")
BINARY = {t: [(f"{t.text}.{n}", t) for n in (_INT if t in (I32, I64) else _FLOAT)] for t in NUMBERS}
BINARY[I32] += [
    (f"{t.text}.{n}", t) for t in NUMBERS for n in (_ICMP if t in (I32, I64) else _FCMP)
]
UNARY = {
    I32: [(f"i32.{n}", I32) for n in words("eqz clz ctz popcnt extend8_s extend16_s")]
    + [("i64.eqz", I64)],
    I64: [(f"i64.{n}", I64) for n in words("clz ctz popcnt extend8_s extend16_s extend32_s")],
    F32: [(f"f32.{n}", F32) for n in words("abs neg ceil floor trunc nearest sqrt")],
    F64: [(f"f64.{n}", F64) for n in words("abs neg ceil floor trunc nearest sqrt")],
}
for _name in BY_NAME:  # conversions: "i32.wrap_i64" takes what comes after the underscore
    if any(f"_{t.text}" in _name for t in NUMBERS) and "x" not in _name:
        _source = next(t for t in NUMBERS if f"_{t.text}" in _name)
        _result = next(t for t in NUMBERS if _name.startswith(f"{t.text}."))
        UNARY[_result].append((_name, _source))
LOADS = {
    t: [n for n in BY_NAME if n.startswith(f"{t.text}.load") and "_lane" not in n] for t in NUMBERS
}
STORES = {t: [n for n in BY_NAME if n.startswith(f"{t.text}.store")] for t in NUMBERS}
ATOMIC = {t: [n for n in BY_NAME if n.startswith(f"{t.text}.atomic.rmw")] for t in (I32, I64)}
VECTOR_BINARY = words("i32x4.add i8x16.sub i64x2.mul f32x4.min v128.xor v128.and i16x8.max_s")
