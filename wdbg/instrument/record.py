"""The passes that record a trace, as a variant asks for them."""

from __future__ import annotations

from dataclasses import dataclass

from symbols.wasm.module import Module
from symbols.wasm.types import Kind, ValueType
from wdbg.instrument.accesses import AccessPass
from wdbg.instrument.mailbox import Mailbox
from wdbg.instrument.points import Recording
from wdbg.instrument.port import Port
from wdbg.instrument.recorder import ring_code
from wdbg.instrument.sources import Sources
from wdbg.instrument.spans import Program, SpanPass


def record_passes(
    module: Module,
    box: Mailbox,
    recording: Recording,
    port: Port,
    names: dict[int, str],
    initial: frozenset[int],
) -> Recorder:
    """The passes. ``initial`` are functions that run while an
    instance is made; they and those that the host calls itself are left out."""
    asked = (port.user_stack_pointer, port.user_tls_base)
    skipped = initial | {i for i, name in names.items() if name in asked}
    program = Program(
        tuple(module.types), tuple(module.function_types), names, module.code_base, skipped
    )
    ring = ring_code(box)
    current = find_global(module, recording.current)
    sources = Sources(box, current, recording.state)
    spans = SpanPass(ring, recording, program, sources)
    accesses = None
    if recording.accesses:
        accesses = AccessPass(ring, recording, program, box.stack_pointer)
    return Recorder(spans, accesses)


@dataclass(frozen=True, slots=True)
class Recorder:
    """The passes: calls and points come before the ticks, accesses after them."""

    spans: SpanPass
    accesses: AccessPass | None


def find_global(module: Module, name: str) -> int | None:
    """Index of the i32 global of that name: an export, or one of the name section."""
    export = module.exports.get(name)
    indices = [i for i, each in module.names.globals.items() if each == name]
    if export is not None and export.kind is Kind.GLOBAL:
        indices.insert(0, export.index)
    for index in indices:
        if index < len(module.globals) and module.globals[index].value is ValueType.I32:
            return index
    return None
