"""The opcode table: every instruction that wdbg understands, its name and its immediates.

From it come the decoder (decode.py) and the rewriter's tokenisers. Sources: WebAssembly core
specification 3.0 chapter 5.4 and appendix 7.8, threads proposal, legacy exception handling
proposal, relaxed SIMD proposal. An opcode that is not in the table is an error with its offset.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Shape(Enum):
    """Immediates of an instruction, in the order of their encoding."""

    NONE = "none"
    BLOCK = "block type"
    LABEL = "label"
    LABELS = "label vector and default"
    FUNCTION = "function"
    INDIRECT = "type, table"
    TYPE = "type"
    LOCAL = "local"
    GLOBAL = "global"
    TABLE = "table"
    MEMORY = "memory"
    TAG = "tag"
    HEAP = "heap type"
    SELECT = "value type vector"
    MEMARG = "memory argument"
    MEMARG_LANE = "memory argument, lane"
    LANE = "lane"
    I32 = "32-bit integer"
    I64 = "64-bit integer"
    F32 = "32-bit float"
    F64 = "64-bit float"
    BYTES16 = "sixteen bytes"
    INDEX = "index"
    INDEX2 = "two indices"
    RESERVED = "zero byte"
    CATCHES = "block type, catch clauses"


@dataclass(frozen=True, slots=True)
class Opcode:
    """One instruction. ``prefix`` is 0 for the one-byte opcodes, else 0xfc, 0xfd or 0xfe."""

    prefix: int
    code: int
    name: str
    shape: Shape
    feature: str

    @property
    def encoding(self) -> bytes:
        """Shortest encoding of the opcode without its immediates."""
        if not self.prefix:
            return bytes((self.code,))
        if self.code < 0x80:
            return bytes((self.prefix, self.code))
        return bytes((self.prefix, self.code & 0x7F | 0x80, self.code >> 7))


def _rows(prefix: int, feature: str, shape: Shape, first: int, names: str) -> list[Opcode]:
    return [
        Opcode(prefix, first + i, name, shape, feature)
        for i, name in enumerate(names.split())
        if name != "-"
    ]


_MVP = "mvp"
_EH = "exceptions"
_LEGACY = "legacy exceptions"
_REF = "reference types"

_CORE: list[Opcode] = [
    *_rows(0, _MVP, Shape.NONE, 0x00, "unreachable nop"),
    *_rows(0, _MVP, Shape.BLOCK, 0x02, "block loop if"),
    *_rows(0, _MVP, Shape.NONE, 0x05, "else"),
    *_rows(0, _LEGACY, Shape.BLOCK, 0x06, "try"),
    *_rows(0, _LEGACY, Shape.TAG, 0x07, "catch"),
    *_rows(0, _EH, Shape.TAG, 0x08, "throw"),
    *_rows(0, _LEGACY, Shape.LABEL, 0x09, "rethrow"),
    *_rows(0, _EH, Shape.NONE, 0x0A, "throw_ref"),
    *_rows(0, _MVP, Shape.NONE, 0x0B, "end"),
    *_rows(0, _MVP, Shape.LABEL, 0x0C, "br br_if"),
    *_rows(0, _MVP, Shape.LABELS, 0x0E, "br_table"),
    *_rows(0, _MVP, Shape.NONE, 0x0F, "return"),
    *_rows(0, _MVP, Shape.FUNCTION, 0x10, "call"),
    *_rows(0, _MVP, Shape.INDIRECT, 0x11, "call_indirect"),
    *_rows(0, "tail call", Shape.FUNCTION, 0x12, "return_call"),
    *_rows(0, "tail call", Shape.INDIRECT, 0x13, "return_call_indirect"),
    *_rows(0, "typed references", Shape.TYPE, 0x14, "call_ref return_call_ref"),
    *_rows(0, _LEGACY, Shape.LABEL, 0x18, "delegate"),
    *_rows(0, _LEGACY, Shape.NONE, 0x19, "catch_all"),
    *_rows(0, _MVP, Shape.NONE, 0x1A, "drop select"),
    *_rows(0, _REF, Shape.SELECT, 0x1C, "select_t"),
    *_rows(0, _EH, Shape.CATCHES, 0x1F, "try_table"),
    *_rows(0, _MVP, Shape.LOCAL, 0x20, "local.get local.set local.tee"),
    *_rows(0, _MVP, Shape.GLOBAL, 0x23, "global.get global.set"),
    *_rows(0, _REF, Shape.TABLE, 0x25, "table.get table.set"),
    *_rows(
        0,
        _MVP,
        Shape.MEMARG,
        0x28,
        """i32.load i64.load f32.load f64.load
        i32.load8_s i32.load8_u i32.load16_s i32.load16_u
        i64.load8_s i64.load8_u i64.load16_s i64.load16_u i64.load32_s i64.load32_u
        i32.store i64.store f32.store f64.store i32.store8 i32.store16
        i64.store8 i64.store16 i64.store32""",
    ),
    *_rows(0, _MVP, Shape.MEMORY, 0x3F, "memory.size memory.grow"),
    *_rows(0, _MVP, Shape.I32, 0x41, "i32.const"),
    *_rows(0, _MVP, Shape.I64, 0x42, "i64.const"),
    *_rows(0, _MVP, Shape.F32, 0x43, "f32.const"),
    *_rows(0, _MVP, Shape.F64, 0x44, "f64.const"),
    *_rows(
        0,
        _MVP,
        Shape.NONE,
        0x45,
        """i32.eqz i32.eq i32.ne i32.lt_s i32.lt_u i32.gt_s i32.gt_u i32.le_s i32.le_u i32.ge_s
        i32.ge_u
        i64.eqz i64.eq i64.ne i64.lt_s i64.lt_u i64.gt_s i64.gt_u i64.le_s i64.le_u i64.ge_s
        i64.ge_u
        f32.eq f32.ne f32.lt f32.gt f32.le f32.ge f64.eq f64.ne f64.lt f64.gt f64.le f64.ge
        i32.clz i32.ctz i32.popcnt i32.add i32.sub i32.mul i32.div_s i32.div_u i32.rem_s i32.rem_u
        i32.and i32.or i32.xor i32.shl i32.shr_s i32.shr_u i32.rotl i32.rotr
        i64.clz i64.ctz i64.popcnt i64.add i64.sub i64.mul i64.div_s i64.div_u i64.rem_s i64.rem_u
        i64.and i64.or i64.xor i64.shl i64.shr_s i64.shr_u i64.rotl i64.rotr
        f32.abs f32.neg f32.ceil f32.floor f32.trunc f32.nearest f32.sqrt f32.add f32.sub f32.mul
        f32.div f32.min f32.max f32.copysign
        f64.abs f64.neg f64.ceil f64.floor f64.trunc f64.nearest f64.sqrt f64.add f64.sub f64.mul
        f64.div f64.min f64.max f64.copysign
        i32.wrap_i64 i32.trunc_f32_s i32.trunc_f32_u i32.trunc_f64_s i32.trunc_f64_u
        i64.extend_i32_s i64.extend_i32_u i64.trunc_f32_s i64.trunc_f32_u i64.trunc_f64_s
        i64.trunc_f64_u
        f32.convert_i32_s f32.convert_i32_u f32.convert_i64_s f32.convert_i64_u f32.demote_f64
        f64.convert_i32_s f64.convert_i32_u f64.convert_i64_s f64.convert_i64_u f64.promote_f32
        i32.reinterpret_f32 i64.reinterpret_f64 f32.reinterpret_i32 f64.reinterpret_i64""",
    ),
    *_rows(
        0,
        "sign extension",
        Shape.NONE,
        0xC0,
        "i32.extend8_s i32.extend16_s i64.extend8_s i64.extend16_s i64.extend32_s",
    ),
    *_rows(0, _REF, Shape.HEAP, 0xD0, "ref.null"),
    *_rows(0, _REF, Shape.NONE, 0xD1, "ref.is_null"),
    *_rows(0, _REF, Shape.FUNCTION, 0xD2, "ref.func"),
]

_BULK = "bulk memory"
_MISC: list[Opcode] = [
    *_rows(
        0xFC,
        "non-trapping conversion",
        Shape.NONE,
        0,
        """i32.trunc_sat_f32_s i32.trunc_sat_f32_u i32.trunc_sat_f64_s i32.trunc_sat_f64_u
        i64.trunc_sat_f32_s i64.trunc_sat_f32_u i64.trunc_sat_f64_s i64.trunc_sat_f64_u""",
    ),
    *_rows(0xFC, _BULK, Shape.INDEX2, 8, "memory.init"),
    *_rows(0xFC, _BULK, Shape.INDEX, 9, "data.drop"),
    *_rows(0xFC, _BULK, Shape.INDEX2, 10, "memory.copy"),
    *_rows(0xFC, _BULK, Shape.MEMORY, 11, "memory.fill"),
    *_rows(0xFC, _BULK, Shape.INDEX2, 12, "table.init"),
    *_rows(0xFC, _BULK, Shape.INDEX, 13, "elem.drop"),
    *_rows(0xFC, _BULK, Shape.INDEX2, 14, "table.copy"),
    *_rows(0xFC, _REF, Shape.TABLE, 15, "table.grow table.size table.fill"),
]

_THREADS = "threads"
_RMW = """i32.atomic.rmw.{0} i64.atomic.rmw.{0} i32.atomic.rmw8.{0}_u i32.atomic.rmw16.{0}_u
    i64.atomic.rmw8.{0}_u i64.atomic.rmw16.{0}_u i64.atomic.rmw32.{0}_u"""
_ATOMIC: list[Opcode] = [
    *_rows(
        0xFE,
        _THREADS,
        Shape.MEMARG,
        0x00,
        "memory.atomic.notify memory.atomic.wait32 memory.atomic.wait64",
    ),
    *_rows(0xFE, _THREADS, Shape.RESERVED, 0x03, "atomic.fence"),
    *_rows(
        0xFE,
        _THREADS,
        Shape.MEMARG,
        0x10,
        """i32.atomic.load i64.atomic.load i32.atomic.load8_u i32.atomic.load16_u
        i64.atomic.load8_u i64.atomic.load16_u i64.atomic.load32_u
        i32.atomic.store i64.atomic.store i32.atomic.store8 i32.atomic.store16
        i64.atomic.store8 i64.atomic.store16 i64.atomic.store32 """
        + " ".join(_RMW.format(op) for op in ("add", "sub", "and", "or", "xor", "xchg", "cmpxchg")),
    ),
]

_SIMD128 = "simd"
_SIMD: list[Opcode] = [
    *_rows(
        0xFD,
        _SIMD128,
        Shape.MEMARG,
        0,
        """v128.load v128.load8x8_s v128.load8x8_u v128.load16x4_s v128.load16x4_u
        v128.load32x2_s v128.load32x2_u v128.load8_splat v128.load16_splat v128.load32_splat
        v128.load64_splat v128.store""",
    ),
    *_rows(0xFD, _SIMD128, Shape.BYTES16, 12, "v128.const i8x16.shuffle"),
    *_rows(
        0xFD,
        _SIMD128,
        Shape.NONE,
        14,
        "i8x16.swizzle i8x16.splat i16x8.splat i32x4.splat i64x2.splat f32x4.splat f64x2.splat",
    ),
    *_rows(
        0xFD,
        _SIMD128,
        Shape.LANE,
        21,
        """i8x16.extract_lane_s i8x16.extract_lane_u i8x16.replace_lane
        i16x8.extract_lane_s i16x8.extract_lane_u i16x8.replace_lane
        i32x4.extract_lane i32x4.replace_lane i64x2.extract_lane i64x2.replace_lane
        f32x4.extract_lane f32x4.replace_lane f64x2.extract_lane f64x2.replace_lane""",
    ),
    *_rows(
        0xFD,
        _SIMD128,
        Shape.NONE,
        35,
        """i8x16.eq i8x16.ne i8x16.lt_s i8x16.lt_u i8x16.gt_s i8x16.gt_u i8x16.le_s i8x16.le_u
        i8x16.ge_s i8x16.ge_u
        i16x8.eq i16x8.ne i16x8.lt_s i16x8.lt_u i16x8.gt_s i16x8.gt_u i16x8.le_s i16x8.le_u
        i16x8.ge_s i16x8.ge_u
        i32x4.eq i32x4.ne i32x4.lt_s i32x4.lt_u i32x4.gt_s i32x4.gt_u i32x4.le_s i32x4.le_u
        i32x4.ge_s i32x4.ge_u
        f32x4.eq f32x4.ne f32x4.lt f32x4.gt f32x4.le f32x4.ge
        f64x2.eq f64x2.ne f64x2.lt f64x2.gt f64x2.le f64x2.ge
        v128.not v128.and v128.andnot v128.or v128.xor v128.bitselect v128.any_true""",
    ),
    *_rows(
        0xFD,
        _SIMD128,
        Shape.MEMARG_LANE,
        84,
        """v128.load8_lane v128.load16_lane v128.load32_lane v128.load64_lane
        v128.store8_lane v128.store16_lane v128.store32_lane v128.store64_lane""",
    ),
    *_rows(0xFD, _SIMD128, Shape.MEMARG, 92, "v128.load32_zero v128.load64_zero"),
    *_rows(
        0xFD,
        _SIMD128,
        Shape.NONE,
        94,
        """f32x4.demote_f64x2_zero f64x2.promote_low_f32x4
        i8x16.abs i8x16.neg i8x16.popcnt i8x16.all_true i8x16.bitmask
        i8x16.narrow_i16x8_s i8x16.narrow_i16x8_u f32x4.ceil f32x4.floor f32x4.trunc f32x4.nearest
        i8x16.shl i8x16.shr_s i8x16.shr_u i8x16.add i8x16.add_sat_s i8x16.add_sat_u
        i8x16.sub i8x16.sub_sat_s i8x16.sub_sat_u f64x2.ceil f64x2.floor
        i8x16.min_s i8x16.min_u i8x16.max_s i8x16.max_u f64x2.trunc i8x16.avgr_u
        i16x8.extadd_pairwise_i8x16_s i16x8.extadd_pairwise_i8x16_u
        i32x4.extadd_pairwise_i16x8_s i32x4.extadd_pairwise_i16x8_u
        i16x8.abs i16x8.neg i16x8.q15mulr_sat_s i16x8.all_true i16x8.bitmask
        i16x8.narrow_i32x4_s i16x8.narrow_i32x4_u
        i16x8.extend_low_i8x16_s i16x8.extend_high_i8x16_s
        i16x8.extend_low_i8x16_u i16x8.extend_high_i8x16_u
        i16x8.shl i16x8.shr_s i16x8.shr_u i16x8.add i16x8.add_sat_s i16x8.add_sat_u
        i16x8.sub i16x8.sub_sat_s i16x8.sub_sat_u f64x2.nearest i16x8.mul
        i16x8.min_s i16x8.min_u i16x8.max_s i16x8.max_u - i16x8.avgr_u
        i16x8.extmul_low_i8x16_s i16x8.extmul_high_i8x16_s
        i16x8.extmul_low_i8x16_u i16x8.extmul_high_i8x16_u
        i32x4.abs i32x4.neg - i32x4.all_true i32x4.bitmask - -
        i32x4.extend_low_i16x8_s i32x4.extend_high_i16x8_s
        i32x4.extend_low_i16x8_u i32x4.extend_high_i16x8_u
        i32x4.shl i32x4.shr_s i32x4.shr_u i32x4.add - - i32x4.sub - - - i32x4.mul
        i32x4.min_s i32x4.min_u i32x4.max_s i32x4.max_u i32x4.dot_i16x8_s -
        i32x4.extmul_low_i16x8_s i32x4.extmul_high_i16x8_s
        i32x4.extmul_low_i16x8_u i32x4.extmul_high_i16x8_u
        i64x2.abs i64x2.neg - i64x2.all_true i64x2.bitmask - -
        i64x2.extend_low_i32x4_s i64x2.extend_high_i32x4_s
        i64x2.extend_low_i32x4_u i64x2.extend_high_i32x4_u
        i64x2.shl i64x2.shr_s i64x2.shr_u i64x2.add - - i64x2.sub - - - i64x2.mul
        i64x2.eq i64x2.ne i64x2.lt_s i64x2.gt_s i64x2.le_s i64x2.ge_s
        i64x2.extmul_low_i32x4_s i64x2.extmul_high_i32x4_s
        i64x2.extmul_low_i32x4_u i64x2.extmul_high_i32x4_u
        f32x4.abs f32x4.neg - f32x4.sqrt f32x4.add f32x4.sub f32x4.mul f32x4.div
        f32x4.min f32x4.max f32x4.pmin f32x4.pmax
        f64x2.abs f64x2.neg - f64x2.sqrt f64x2.add f64x2.sub f64x2.mul f64x2.div
        f64x2.min f64x2.max f64x2.pmin f64x2.pmax
        i32x4.trunc_sat_f32x4_s i32x4.trunc_sat_f32x4_u
        f32x4.convert_i32x4_s f32x4.convert_i32x4_u
        i32x4.trunc_sat_f64x2_s_zero i32x4.trunc_sat_f64x2_u_zero
        f64x2.convert_low_i32x4_s f64x2.convert_low_i32x4_u""",
    ),
    *_rows(
        0xFD,
        "relaxed simd",
        Shape.NONE,
        0x100,
        """i8x16.relaxed_swizzle
        i32x4.relaxed_trunc_f32x4_s i32x4.relaxed_trunc_f32x4_u
        i32x4.relaxed_trunc_f64x2_s_zero i32x4.relaxed_trunc_f64x2_u_zero
        f32x4.relaxed_madd f32x4.relaxed_nmadd f64x2.relaxed_madd f64x2.relaxed_nmadd
        i8x16.relaxed_laneselect i16x8.relaxed_laneselect
        i32x4.relaxed_laneselect i64x2.relaxed_laneselect
        f32x4.relaxed_min f32x4.relaxed_max f64x2.relaxed_min f64x2.relaxed_max
        i16x8.relaxed_q15mulr_s i16x8.relaxed_dot_i8x16_i7x16_s
        i32x4.relaxed_dot_i8x16_i7x16_add_s""",
    ),
]

OPCODES: dict[tuple[int, int], Opcode] = {
    (op.prefix, op.code): op for op in (*_CORE, *_MISC, *_SIMD, *_ATOMIC)
}
"""(prefix or 0, code) -> instruction."""

BY_NAME: dict[str, Opcode] = {op.name: op for op in OPCODES.values()}
PREFIXES = frozenset(op.prefix for op in OPCODES.values() if op.prefix)
