"""Random valid modules that always stop, for comparing rewritten with original behaviour.

The generator works on types alone: an expression leaves exactly one value of the type asked for,
a statement leaves the stack as it was, so everything validates. Each function entry and loop
header burns fuel and traps when it is gone. The same module is also emitted with a counter at
every place that has to tick, as an independent truth for logical time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from symbols.wasm.container import (
    SectionId,
    write_module,
    write_name,
    write_vector,
)
from symbols.wasm.leb import encode_padded, encode_signed, encode_unsigned
from symbols.wasm.opcodes import BY_NAME
from symbols.wasm.types import FuncType, Kind, ValueType
from tests.instrument.operators import (
    ATOMIC,
    BINARY,
    F32,
    F64,
    I32,
    I64,
    LOADS,
    NUMBERS,
    STORES,
    UNARY,
    VECTOR_BINARY,
)

V128 = ValueType.V128
PAGES = (2, 4)
IRQ, STACK = "irq", "__stack_pointer"
COUNT, FUEL, IRQS = "count", "fuel", "irqs"


class _Mark:
    """A place that ticks in the counted module."""


ENTRY, LOOP = _Mark(), _Mark()
Code = list["bytes | _Mark"]


def op(name: str, *indices: int) -> bytes:
    return BY_NAME[name].encoding + b"".join(encode_unsigned(i) for i in indices)


def i32(value: int) -> bytes:
    return b"\x41" + encode_signed((value & 0xFFFFFFFF ^ 0x80000000) - 0x80000000)


def increment(index: int, by: int = 1) -> bytes:
    return op("global.get", index) + i32(by) + op("i32.add") + op("global.set", index)


@dataclass
class Generated:
    """A module in two forms. ``counted`` exports COUNT, an i32 that counts ticks."""

    original: bytes
    counted: bytes
    imports: list[tuple[str, FuncType]]
    exports: list[tuple[str, FuncType]]
    globals: list[str]
    """Exported globals whose values are compared."""
    start: bool


@dataclass
class _Function:
    kind: FuncType
    code: Code = field(default_factory=list)
    local_types: list[ValueType] = field(default_factory=list)
    calls: bool = False
    loops: bool = False


class Generator:
    """Makes one random module."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        rng = self.rng
        self.types: list[FuncType] = [FuncType((), ())]
        for _ in range(rng.randrange(3, 8)):
            self.types.append(FuncType(self._some(3), self._some(3 if rng.random() < 0.3 else 1)))
        kinds = range(len(self.types))
        self.imports = [rng.choice(kinds) for _ in range(rng.choice((0, 1, 1, 2, 4)))]
        self.kinds = [rng.choice(kinds) for _ in range(rng.randrange(2, 7))]
        # globals: fuel, stack pointer, interrupts seen, then two mutable ones of each type
        self.globals: list[ValueType] = [I32, I32, I32, *(t for t in NUMBERS for _ in range(2))]
        self.tables = rng.choice((1, 1, 2))
        self.passive = rng.randrange(1, 3)
        self.segments = rng.randrange(1, 3)
        self.tag_type = self._type(FuncType((I32,), ()))
        self.function = _Function(self.types[0])
        self.labels: list[tuple[ValueType, ...]] = []
        self.budget = 0

    # ---- small choices

    def _some(self, most: int) -> tuple[ValueType, ...]:
        return tuple(self.rng.choice(NUMBERS) for _ in range(self.rng.randrange(most + 1)))

    def _type(self, kind: FuncType) -> int:
        if kind not in self.types:
            self.types.append(kind)
        return self.types.index(kind)

    def _chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def _index(self, index: int) -> bytes:
        return encode_padded(index, self.rng.choice((1, 1, 5)))

    def _emit(self, *parts: bytes | _Mark) -> None:
        self.function.code.extend(parts)

    def _local(self, kind: ValueType, fresh: bool = False) -> int:
        f = self.function
        every = [*f.kind.params, *f.local_types]
        known = [i for i, t in enumerate(every) if t is kind]
        if fresh or not known or self._chance(0.2):
            f.local_types.append(kind)
            return len(every)
        return self.rng.choice(known)

    # ---- expressions: leave one value

    def const(self, kind: ValueType) -> None:
        rng = self.rng
        if kind is I32:
            self._emit(i32(rng.choice((0, 1, -1, 7, 255, 1 << 31, rng.getrandbits(32)))))
        elif kind is I64:
            value = rng.choice((0, 1, -1, 1 << 31, rng.getrandbits(63), -(1 << 63)))
            self._emit(b"\x42" + encode_signed(value))
        elif kind is F32:
            self._emit(b"\x43" + rng.choice((b"\0\0\xc0\x7f", b"\0\0\x80\x3f", rng.randbytes(4))))
        elif kind is F64:
            self._emit(b"\x44" + rng.choice((b"\0" * 6 + b"\xf0\x3f", rng.randbytes(8))))
        else:
            self._emit(BY_NAME["v128.const"].encoding, rng.randbytes(16))

    def expr(self, kind: ValueType, depth: int) -> None:
        self.budget -= 1
        if depth <= 0 or self.budget <= 0:
            leaf = self.rng.randrange(3)
            if leaf == 0 or kind is V128:
                self.const(kind)
            elif leaf == 1:
                self._emit(op("local.get", self._local(kind)))
            else:
                choices = [i for i, t in enumerate(self.globals) if t is kind and i > 2]
                self._emit(b"\x23", self._index(self.rng.choice(choices)))
            return
        if kind is V128:
            self._vector(depth)
            return
        self.rng.choice((
            self._numeric, self._numeric, self._numeric, self._load, self._load, self._if,
            self._block, self._select, self._call, self._indirect, self._tee, self._special,
        ))(kind, depth)  # fmt: skip

    def _numeric(self, kind: ValueType, depth: int) -> None:
        if self._chance(0.4):
            name, source = self.rng.choice(UNARY[kind])
            self.expr(source, depth - 1)
        else:
            name, source = self.rng.choice(BINARY[kind])
            self.expr(source, depth - 1)
            self.expr(source, depth - 1)
        self._emit(op(name))

    def _address(self, depth: int, align: int = 1) -> None:
        """Mostly inside the memory, and aligned; now and then wild."""
        self.expr(I32, depth - 1)
        if not self._chance(0.03):
            self._emit(i32(0x1FFFF & -align), op("i32.and"))

    def _memarg(self, offset: int | None = None, align: int = 0) -> bytes:
        chosen = self.rng.choice((0, 0, 8, 200, 3)) if offset is None else offset
        return encode_unsigned(align) + self._index(chosen)

    def _load(self, kind: ValueType, depth: int) -> None:
        self._address(depth)
        self._emit(BY_NAME[self.rng.choice(LOADS[kind])].encoding + self._memarg())

    def _if(self, kind: ValueType, depth: int) -> None:
        self.expr(I32, depth - 1)
        self._emit(b"\x04" + bytes((kind,)))
        self._nested((kind,), lambda: self.body((kind,), depth - 1))
        self._emit(b"\x05")
        self._nested((kind,), lambda: self.body((kind,), depth - 1))
        self._emit(b"\x0b")

    def _nested(self, label: tuple[ValueType, ...], inside: Callable[[], None]) -> None:
        self.labels.append(label)
        inside()
        self.labels.pop()

    def _block(self, kind: ValueType, depth: int) -> None:
        if self._chance(0.3):
            self._loop((kind,), depth)
            return
        if self._chance(0.3):
            self._catch(kind, depth)
            return
        extra = self._some(2)
        results = (*extra, kind)
        if len(results) == 1:
            self._emit(b"\x02" + bytes((kind,)))
        else:
            self._emit(b"\x02" + encode_signed(self._type(FuncType((), results))))
        self._nested(results, lambda: self.body(results, depth - 1))
        self._emit(b"\x0b")
        if extra:  # keep the last value only
            kept = self._local(kind, fresh=True)
            self._emit(op("local.set", kept), b"\x1a" * len(extra), op("local.get", kept))

    def _loop(self, results: tuple[ValueType, ...], depth: int) -> None:
        self.function.loops = True
        kind = self._type(FuncType((), results))
        self._emit(b"\x03" + encode_signed(kind), LOOP)
        self._fuel()
        self._nested((), lambda: self.body(results, depth - 1))
        self._emit(b"\x0b")

    def _catch(self, kind: ValueType, depth: int) -> None:
        """block (result i32) try_table (catch 0 0) ... return-like end drop ... end"""
        self._emit(b"\x02" + bytes((kind,)), b"\x02\x7f")
        self.labels += [(kind,), (I32,)]
        self._emit(b"\x1f" + bytes((kind,)) + b"\x01\x00\x00\x00")
        self._nested((kind,), lambda: self.body((kind,), depth - 1))
        self._emit(b"\x0b", op("br", 1), b"\x0b")
        self.labels.pop()
        self._emit(op("global.set", 3))  # the exception's payload
        self.expr(kind, 1)
        self.labels.pop()
        self._emit(b"\x0b")

    def _select(self, kind: ValueType, depth: int) -> None:
        self.expr(kind, depth - 1)
        self.expr(kind, depth - 1)
        self.expr(I32, depth - 1)
        self._emit(b"\x1b" if self._chance(0.5) else b"\x1c\x01" + bytes((kind,)))

    def _arguments(self, kinds: Sequence[ValueType], depth: int) -> None:
        for kind in kinds:
            self.expr(kind, depth - 1)

    def _take(self, results: Sequence[ValueType], kind: ValueType | None, depth: int) -> None:
        """Drop results of a call, leave one value of ``kind``."""
        if kind is not None and len(results) == 1 and results[0] is kind:
            return
        for result in reversed(results):
            if self._chance(0.5):
                self._emit(b"\x1a")
            else:
                self._emit(op("local.set", self._local(result)))
        if kind is not None:
            self.expr(kind, depth - 1)

    def _call(self, kind: ValueType | None, depth: int) -> None:
        self.function.calls = True
        every = self.imports + self.kinds
        target = self.rng.randrange(len(every))
        signature = self.types[every[target]]
        self._arguments(signature.params, depth)
        self._emit(b"\x10", self._index(target))
        self._take(signature.results, kind, depth)

    def _indirect(self, kind: ValueType | None, depth: int) -> None:
        self.function.calls = True
        index = self.rng.choice(self.imports + self.kinds)
        signature = self.types[index]
        self._arguments(signature.params, depth)
        if self._chance(0.7):
            self._emit(i32(self.rng.randrange(12)))
        else:
            self.expr(I32, depth - 1)
            self._emit(i32(15), op("i32.and"))
        table = self.rng.randrange(self.tables)
        self._emit(op("call_indirect", index), encode_unsigned(table))
        self._take(signature.results, kind, depth)

    def _tee(self, kind: ValueType, depth: int) -> None:
        self.expr(kind, depth - 1)
        self._emit(op("local.tee", self._local(kind)))

    def _special(self, kind: ValueType, depth: int) -> None:
        rng = self.rng
        if kind in (I32, I64) and self._chance(0.5):
            name = rng.choice(ATOMIC[kind])
            width = next((n // 8 for n in (8, 16, 32) if f"rmw{n}." in name), 0)
            size = width or (4 if kind is I32 else 8)
            self._address(depth, size)
            self._arguments((kind, kind) if "cmpxchg" in name else (kind,), depth)
            memarg = self._memarg(rng.choice((0, 8, 3)), size.bit_length() - 1)
            self._emit(BY_NAME[name].encoding, memarg)
        elif kind is I32 and self._chance(0.4):
            self._wait(depth)
        elif kind is I32 and self._chance(0.5):
            choice = rng.randrange(4)
            if choice == 0:
                self._emit(op("memory.size", 0))
            elif choice == 1:
                self._emit(i32(rng.choice((0, 1, 9))), op("memory.grow", 0))
            elif choice == 2:
                self._emit(op("table.size", 0))
            else:
                self.expr(V128, depth - 1)
                self._emit(op("i32x4.extract_lane"), bytes((rng.randrange(4),)))
        else:
            self.expr(V128, depth - 1)
            name = {I32: "i32x4", I64: "i64x2", F32: "f32x4", F64: "f64x2"}[kind]
            self._emit(op(f"{name}.extract_lane"), bytes((rng.randrange(2),)))

    def _wait(self, depth: int) -> None:
        """Never blocks: a timeout of zero."""
        if self._chance(0.4):
            self._address(depth, 4)
            self.expr(I32, depth - 1)
            self._emit(b"\xfe\x00", self._memarg(None, 2))
        elif self._chance(0.5):
            self._address(depth, 4)
            self.expr(I32, depth - 1)
            self._emit(b"\x42\x00", b"\xfe\x01", self._memarg(None, 2))
        else:
            self._address(depth, 8)
            self.expr(I64, depth - 1)
            self._emit(b"\x42\x00", b"\xfe\x02", self._memarg(None, 3))

    def _vector(self, depth: int) -> None:
        choice = self.rng.randrange(4)
        if choice == 0:
            kind = self.rng.choice(NUMBERS)
            self.expr(kind, depth - 1)
            name = {I32: "i32x4", I64: "i64x2", F32: "f32x4", F64: "f64x2"}[kind]
            self._emit(op(f"{name}.splat"))
        elif choice == 1:
            self._address(depth)
            self._emit(op("v128.load"), self._memarg())
        else:
            self.expr(V128, depth - 1)
            self.expr(V128, depth - 1)
            if choice == 2:
                self._emit(op(self.rng.choice(VECTOR_BINARY)))
            else:
                lanes = bytes(self.rng.randrange(32) for _ in range(16))
                self._emit(op("i8x16.shuffle"), lanes)

    # ---- statements: leave the stack alone

    def body(self, results: Sequence[ValueType], depth: int) -> None:
        for _ in range(self.rng.randrange(3)):
            self.statement(depth)
        self._arguments(results, depth)

    def statement(self, depth: int) -> None:
        self.budget -= 1
        if self.budget <= 0:
            return
        rng = self.rng
        rng.choice((
            self._set, self._set, self._store, self._store, self._bulk, self._branch, self._branch,
            self._nest, self._nest, lambda d: self._call(None, d),
            lambda d: self._indirect(None, d), self._table, self._leave, self._throw,
        ))(depth)  # fmt: skip

    def _set(self, depth: int) -> None:
        kind = self.rng.choice(NUMBERS)
        self.expr(kind, depth)
        if self._chance(0.6):
            self._emit(op("local.set", self._local(kind)))
        else:
            choices = [i for i, t in enumerate(self.globals) if t is kind and i > 2]
            self._emit(b"\x24", self._index(self.rng.choice(choices)))

    def _store(self, depth: int) -> None:
        if self._chance(0.1):
            self._address(depth)
            self.expr(V128, depth - 1)
            self._emit(op("v128.store"), self._memarg())
            return
        kind = self.rng.choice(NUMBERS)
        self._address(depth)
        self.expr(kind, depth - 1)
        self._emit(op(self.rng.choice(STORES[kind])), self._memarg())

    def _bulk(self, depth: int) -> None:
        rng = self.rng
        choice = rng.randrange(5)
        if choice < 2:
            self._address(depth)
            self._address(depth)
            self._emit(i32(rng.choice((0, 5, 100, 1000))))
            self._emit(op("memory.copy", 0, 0) if choice else op("memory.fill", 0))
        elif choice == 2:
            self._address(depth)
            self._emit(i32(rng.randrange(4)), i32(rng.choice((0, 1, 5, 40))))
            self._emit(op("memory.init", self.segments + rng.randrange(self.passive), 0))
        elif choice == 3:
            self._emit(op("data.drop", self.segments + rng.randrange(self.passive)))
        else:
            self._emit(b"\xfe\x03\x00")

    def _branch(self, depth: int) -> None:
        rng = self.rng
        if not self.labels:
            return
        label = rng.randrange(len(self.labels))
        kinds = self.labels[-1 - label]
        choice = rng.randrange(4)
        self._arguments(kinds, depth)
        if choice == 0:
            self._emit(op("br", label))
        elif choice == 1:
            alike = [i for i, t in enumerate(reversed(self.labels)) if t == kinds]
            self.expr(I32, depth - 1)
            self._emit(i32(3), op("i32.and"))
            count = rng.choice((0, 1, 3, 130))
            labels = b"".join(encode_unsigned(rng.choice(alike)) for _ in range(count + 1))
            self._emit(b"\x0e" + encode_unsigned(count) + labels)
        else:
            self.expr(I32, depth - 1)
            self._emit(op("br_if", label))
            self._emit(b"\x1a" * len(kinds))

    def _nest(self, depth: int) -> None:
        choice = self.rng.randrange(4)
        if depth <= 0:
            return
        if choice == 0:
            self._loop((), depth)
        elif choice == 1:
            self.expr(I32, depth - 1)
            self._emit(b"\x04\x40")
            self._nested((), lambda: self.body((), depth - 1))
            if self._chance(0.5):
                self._emit(b"\x05")
                self._nested((), lambda: self.body((), depth - 1))
            self._emit(b"\x0b")
        elif choice == 2:
            self._emit(b"\x02\x40")
            self._nested((), lambda: self.body((), depth - 1))
            self._emit(b"\x0b")
        else:
            # a counted loop, so that back edges are really taken
            counter = self._local(I32, fresh=True)
            self.function.loops = True
            self._emit(i32(self.rng.randrange(1, 9)), op("local.set", counter))
            self._emit(b"\x03\x40", LOOP)
            self._fuel()
            self._nested((), lambda: self.body((), depth - 2))
            step = op("local.get", counter) + i32(-1) + op("i32.add") + op("local.tee", counter)
            self._emit(step, op("br_if", 0), b"\x0b")

    def _table(self, depth: int) -> None:
        rng = self.rng
        table = rng.randrange(self.tables)
        choice = rng.randrange(6)
        target = rng.randrange(len(self.imports) + len(self.kinds))
        if choice == 0:
            self._emit(i32(rng.randrange(13)), b"\xd2", self._index(target))
            self._emit(op("table.set", table))
        elif choice == 1:
            other = rng.randrange(self.tables)
            self._emit(i32(rng.randrange(10)), i32(rng.randrange(10)), i32(rng.randrange(5)))
            self._emit(op("table.copy", table, other))
        elif choice == 2:
            self._emit(i32(rng.randrange(10)), i32(rng.randrange(2)), i32(rng.randrange(3)))
            self._emit(op("table.init", self.tables, table))
        elif choice == 3:
            self._emit(b"\xd2", self._index(target), i32(rng.choice((0, 1, 20))))
            self._emit(op("table.grow", table), b"\x1a")
        elif choice == 4:
            self._emit(i32(rng.randrange(10)), b"\xd0\x70", i32(1), op("table.fill", table))
        else:
            self._emit(i32(rng.randrange(13)), op("table.get", table), b"\xd1\x1a")

    def _leave(self, depth: int) -> None:
        if self._chance(0.6):
            return
        results = self.function.kind.results
        every = self.imports + self.kinds
        alike = [i for i, t in enumerate(every) if self.types[t].results == results]
        if alike and self._chance(0.5):
            self.function.calls = True
            target = self.rng.choice(alike)
            self._arguments(self.types[every[target]].params, depth)
            self._emit(b"\x12", self._index(target))
        elif self._chance(0.1):
            self._emit(b"\x00")
        else:
            self._arguments(results, depth)
            self._emit(b"\x0f")

    def _throw(self, depth: int) -> None:
        if self._chance(0.3):
            self.expr(I32, depth - 1)
            self._emit(op("throw", 0))

    def _fuel(self) -> None:
        self._emit(increment(0, -1), op("global.get", 0), op("i32.eqz"), b"\x04\x40\x00\x0b")

    # ---- the module

    def _one(self, kind: int) -> _Function:
        self.function = _Function(self.types[kind])
        self.labels = [self.types[kind].results]
        self.budget = self.rng.choice((10, 60, 150))
        self._emit(ENTRY)
        if self._chance(0.8):
            self._fuel()
        else:
            # without fuel at its entry a function must not call, or it might never stop
            self.budget = 0
        depth = self.rng.randrange(1, 6)
        for _ in range(self.rng.randrange(4)):
            self.statement(depth)
        self._arguments(self.types[kind].results, depth)
        return self.function

    def generate(self) -> Generated:
        rng = self.rng
        functions = [self._one(kind) for kind in self.kinds]
        count = len(self.imports) + len(self.kinds)
        irq = _Function(self.types[0], [increment(2)])
        functions.append(irq)
        start = None
        if self._chance(0.2):
            void = [i for i, t in enumerate(self.kinds) if self.types[t] == self.types[0]]
            start = len(self.imports) + rng.choice(void) if void else None
        elements = [b"\x00" + i32(0) + b"\x0b" + self._functions(count, 10)]
        if self.tables == 2:
            expressions = [b"\xd2" + encode_unsigned(rng.randrange(count)) + b"\x0b"] * 3
            expressions.append(b"\xd0\x70\x0b")
            elements.append(b"\x06\x01" + i32(2) + b"\x0b\x70" + write_vector(expressions))
        elements.append(b"\x01\x00" + self._functions(count, 3))
        declared = write_vector([encode_unsigned(i) for i in range(count)])
        elements.append(b"\x03\x00" + declared)
        data = [
            b"\x00" + i32(rng.randrange(60000)) + b"\x0b" + self._bytes()
            for _ in range(self.segments)
        ]
        data += [b"\x01" + self._bytes() for _ in range(self.passive)]
        render = [
            self._module(functions, start, elements, data, counted) for counted in (False, True)
        ]
        exports = [(f"f{i}", self.types[k]) for i, k in enumerate(self.kinds)]
        imports = [(f"i{i}", self.types[k]) for i, k in enumerate(self.imports)]
        names = [f"g{i}" for i in range(3, len(self.globals))]
        return Generated(render[0], render[1], imports, exports, names, start is not None)

    def _bytes(self) -> bytes:
        return encode_unsigned(size := self.rng.randrange(1, 200)) + self.rng.randbytes(size)

    def _functions(self, count: int, size: int) -> bytes:
        return write_vector([encode_unsigned(self.rng.randrange(count)) for _ in range(size)])

    def _module(
        self,
        functions: list[_Function],
        start: int | None,
        elements: list[bytes],
        data: list[bytes],
        counted: bool,
    ) -> bytes:
        first = len(self.imports)
        memory = write_name("env") + write_name("memory") + b"\x02\x03"
        imports = [memory + encode_unsigned(PAGES[0]) + encode_unsigned(PAGES[1])]
        for i, kind in enumerate(self.imports):
            imports.append(write_name("env") + write_name(f"i{i}") + b"\0" + encode_unsigned(kind))
        zero = {I32: i32(4096), I64: b"\x42\0", F32: b"\x43" + b"\0" * 4, F64: b"\x44" + b"\0" * 8}
        globals_ = [bytes((t, 1)) + zero[t] + b"\x0b" for t in self.globals]
        named = [
            *((f"f{i}", Kind.FUNCTION, first + i) for i in range(len(self.kinds))),
            (IRQ, Kind.FUNCTION, first + len(self.kinds)),
            (FUEL, Kind.GLOBAL, 0),
            (STACK, Kind.GLOBAL, 1),
            (IRQS, Kind.GLOBAL, 2),
            *((f"g{i}", Kind.GLOBAL, i) for i in range(3, len(self.globals))),
        ]
        if counted:
            globals_.append(bytes((I32, 1)) + i32(0) + b"\x0b")
            named.append((COUNT, Kind.GLOBAL, len(self.globals)))
        types = [
            b"\x60" + b"".join(encode_unsigned(len(t)) + bytes(t) for t in (k.params, k.results))
            for k in self.types
        ]
        kinds = [encode_unsigned(k) for k in (*self.kinds, 0)]
        tables = [b"\x70\x01" + encode_unsigned(12) + encode_unsigned(40)] * self.tables
        exports = [write_name(n) + bytes((k,)) + encode_unsigned(i) for n, k, i in named]
        tick = increment(len(self.globals)) if counted else b""
        bodies = [self._render(f, tick) for f in functions]
        sections = [
            (SectionId.TYPE, write_vector(types)),
            (SectionId.IMPORT, write_vector(imports)),
            (SectionId.FUNCTION, write_vector(kinds)),
            (SectionId.TABLE, write_vector(tables)),
            (SectionId.TAG, write_vector([b"\0" + encode_unsigned(self.tag_type)])),
            (SectionId.GLOBAL, write_vector(globals_)),
            (SectionId.EXPORT, write_vector(exports)),
            (SectionId.START, b"" if start is None else encode_unsigned(start)),
            (SectionId.ELEMENT, write_vector(elements)),
            (SectionId.DATA_COUNT, encode_unsigned(len(data))),
            (SectionId.CODE, write_vector(bodies)),
            (SectionId.DATA, write_vector(data)),
        ]
        return write_module((s, "", c) for s, c in sections if c)

    @staticmethod
    def _render(function: _Function, tick: bytes) -> bytes:
        parts = []
        for part in function.code:
            if part is LOOP or (part is ENTRY and (function.calls or function.loops)):
                parts.append(tick)
            elif isinstance(part, bytes):
                parts.append(part)
        locals_ = [b"\x01" + bytes((t,)) for t in function.local_types]
        code = write_vector(locals_) + b"".join(parts) + b"\x0b"
        return encode_unsigned(len(code)) + code


def generate(seed: int) -> Generated:
    """The random module of a seed."""
    return Generator(seed).generate()
