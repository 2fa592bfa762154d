"""A snapshot's plain values as JSON, and back; what is read may be anything."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wdbg.dump.snapshot import Snapshot
from wdbg.dump.state import (
    BootState,
    CpuState,
    FrameState,
    ModuleState,
    PlaceState,
    StopState,
    TaskState,
)

MOST_TASKS = 65536
MOST_FRAMES = 4096
MOST_TEXT = 1 << 16
"""Characters of a name or message."""
MOST_ITEMS = 1 << 20


class Malformed(Exception):
    """The values are not what they should be."""


def encode(snapshot: Snapshot) -> bytes:
    """The section "state"."""
    fields = {
        "tick": snapshot.tick,
        "virtual_ns": snapshot.virtual_ns,
        "running": snapshot.running,
        "memory": snapshot.memory.size(),
        "cpus": [asdict(cpu) for cpu in snapshot.cpus],
        "modules": [
            {**asdict(module), "path": None if module.path is None else str(module.path)}
            for module in snapshot.modules
        ],
        "stop": asdict(snapshot.stop),
        "traps": [asdict(trap) for trap in snapshot.traps],
        "boot": asdict(snapshot.boot),
        "notes": list(snapshot.notes),
        "tasks": [_task(task) for task in snapshot.tasks.values()],
    }
    return json.dumps(fields, separators=(",", ":")).encode()


def _task(task: TaskState) -> dict[str, object]:
    return {
        "address": task.address,
        "name": task.name,
        "phase": task.phase,
        "fresh": task.fresh,
        "globals": [[module, index, value] for (module, index), value in task.globals.items()],
        "frames": [
            {
                "module": frame.module,
                "offset": frame.offset,
                "function": frame.function,
                "start": frame.start,
                "locals": list(frame.locals.items()),
                "operands": list(frame.operands.items()),
                "stack_pointer": frame.stack_pointer,
                "trapped": frame.trapped,
            }
            for frame in task.frames
        ],
    }


def decode(data: bytes) -> tuple[dict[str, Any], int]:
    """Arguments of `Snapshot`, and the size of memory. Malformed if the section is not right."""
    try:
        fields = Fields(json.loads(data))
    except (ValueError, RecursionError):
        raise Malformed("the state is no JSON") from None
    tasks = [_read_task(task) for task in fields.items("tasks", MOST_TASKS)]
    return {
        "tick": fields.number("tick"),
        "virtual_ns": fields.number("virtual_ns"),
        "running": fields.number("running"),
        "cpus": tuple(_read_cpu(cpu) for cpu in fields.items("cpus", 4096)),
        "modules": tuple(_read_module(module) for module in fields.items("modules", 4096)),
        "stop": _read_stop(fields.part("stop")),
        "traps": tuple(_read_stop(trap) for trap in fields.items("traps", 4096)),
        "boot": _read_boot(fields.part("boot")),
        "notes": tuple(fields.texts("notes")),
        "tasks": {task.address: task for task in tasks},
    }, fields.number("memory")


class Fields:
    """A JSON object whose members are checked when they are asked for."""

    def __init__(self, value: object) -> None:
        if not isinstance(value, Mapping):
            raise Malformed("a part of the state is no object")
        self._value = value

    def number(self, name: str, least: int = 0) -> int:
        """An integer of 64 bits."""
        return _number(self._value.get(name), name, least)

    def optional(self, name: str) -> int | None:
        """The same, or null."""
        return None if self._value.get(name) is None else self.number(name)

    def text(self, name: str) -> str:
        """A string."""
        return _text(self._value.get(name), name)

    def flag(self, name: str) -> bool:
        """A truth value."""
        return self._value.get(name) is True

    def part(self, name: str) -> Fields:
        """An object."""
        return Fields(self._value.get(name))

    def list(self, name: str, most: int = MOST_ITEMS) -> list[object]:
        """An array."""
        found = self._value.get(name)
        if not isinstance(found, list) or len(found) > most:
            raise Malformed(f"{name} is no list, or too long")
        return found

    def items(self, name: str, most: int = MOST_ITEMS) -> Iterable[Fields]:
        """An array of objects."""
        return map(Fields, self.list(name, most))

    def texts(self, name: str) -> Iterable[str]:
        """An array of strings."""
        return [_text(item, name) for item in self.list(name)]

    def rows(self, name: str, width: int) -> Iterable[tuple[int, ...]]:
        """An array of arrays of numbers."""
        for row in self.list(name):
            if not isinstance(row, list) or len(row) != width:
                raise Malformed(f"{name} has a row of another length")
            yield tuple(_number(value, name, 0) for value in row)


def _number(value: object, name: str, least: int) -> int:
    if type(value) is not int or not least <= value < 1 << 64:
        raise Malformed(f"{name} is no number")
    return value


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or len(value) > MOST_TEXT:
        raise Malformed(f"{name} is no text")
    return value


def _read_task(task: Fields) -> TaskState:
    return TaskState(
        task.number("address"),
        task.text("name"),
        task.text("phase"),
        task.flag("fresh"),
        tuple(_read_frame(frame) for frame in task.items("frames", MOST_FRAMES)),
        {(row[0], row[1]): row[2] for row in task.rows("globals", 3)},
    )


def _read_frame(frame: Fields) -> FrameState:
    return FrameState(
        frame.number("module", -1),
        frame.number("offset"),
        frame.text("function"),
        frame.number("start"),
        {row[0]: row[1] for row in frame.rows("locals", 2)},
        {row[0]: row[1] for row in frame.rows("operands", 2)},
        frame.number("stack_pointer"),
        frame.flag("trapped"),
    )


def _read_cpu(cpu: Fields) -> CpuState:
    return CpuState(
        cpu.number("number"),
        cpu.number("task"),
        cpu.flag("ready"),
        cpu.number("waits_on"),
        cpu.number("deadline"),
        cpu.number("timer"),
    )


def _read_module(module: Fields) -> ModuleState:
    path = module.text("path") if module._value.get("path") is not None else ""
    return ModuleState(
        module.number("number"),
        module.text("name"),
        Path(path) if path and "\0" not in path else None,
        module.text("digest"),
        module.number("code_base"),
        module.number("code_size"),
        module.number("data_start"),
        module.number("table_start"),
        module.number("size"),
    )


def _read_stop(stop: Fields) -> StopState:
    frames = tuple(
        PlaceState(f.text("function"), f.number("offset"), f.number("module", -1))
        for f in stop.items("frames", MOST_FRAMES)
    )
    tick, task = stop.number("tick", -1), stop.number("task")
    return StopState(stop.text("kind"), stop.text("message"), frames, tick, task)


def _read_boot(boot: Fields) -> BootState:
    return BootState(
        boot.text("kernel"),
        boot.text("initrd"),
        boot.text("initrd_digest"),
        boot.text("command_line"),
        boot.number("cpus"),
        boot.number("memory"),
        boot.optional("seed"),
        boot.text("schedule"),
        boot.text("variant"),
    )
