"""A crash report as text for a terminal. What comes from the guest is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from wdbg.analysis.crash.report import DMESG_LINES, Document
from wdbg.analysis.crash.text import line, visible

_MOST_TASKS = 200
_MOST_STACKS = 10
RULE = "=" * 78


def text_report(document: Document) -> str:
    """The whole report."""
    return "\n".join(line(text) if "\n" not in text else visible(text) for text in _all(document))


def _all(document: Document) -> Iterator[str]:
    what = document["what"]
    yield RULE
    yield f"{what['kind']}: {what['title']}"
    yield RULE
    task = document["task"]
    on = "" if task["cpu"] is None else f" on CPU {task['cpu']}"
    if task["name"]:
        yield f"in {task['name']}{on}, tick {what['tick']}, {what['virtual_ns'] / 1e9:.9f} s"
    if what["message"]:
        yield f"message: {what['message']}"
    yield from (f"  {detail}" for detail in what["details"])
    yield f"signature {document['signature']}: {' < '.join(document['calls'])}"
    yield from _section("Where", _where(document["where"]))
    yield from _section("Backtrace", _backtrace(document["backtrace"]))
    yield from _section("Objects involved", _objects(document["objects"]))
    yield from _section("Inconsistencies", document["problems"])
    yield from _section("CPUs", document["cpus"])
    yield from _section("Waits and locks", document["waits"].splitlines())
    yield from _section("Tasks", _tasks(document["tasks"]))
    yield from _section("Stack use", _stacks(document["stacks"]))
    yield from _section("Last events", _events(document["events"]))
    log = document["dmesg"]
    more = [f"({len(log) - DMESG_LINES} lines before)"] if len(log) > DMESG_LINES else []
    yield from _section("Kernel log, from memory", [*more, *log[-DMESG_LINES:]])
    yield from _section("Run it again", [document["replay"]] if document["replay"] else [])
    yield from _section("Missing or damaged", document["notes"])


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    lines = list(lines)
    if lines:
        yield ""
        yield f"{title}:"
        yield from (f"  {text}" for text in lines)


def _where(where: dict[str, Any] | None) -> Iterator[str]:
    if where is None:
        return
    yield f"{where['function']}() at {where['file']}:{where['line']}"
    for number, text in where["source"]:
        mark = "->" if number == where["line"] else "  "
        yield f"{mark} {number:>5} {text}"


def _backtrace(calls: list[dict[str, Any]]) -> Iterator[str]:
    for call in calls:
        yield call["text"]
        yield from (f"        {text}" for text in call["locals"])


def _objects(objects: list[dict[str, Any]]) -> Iterator[str]:
    for item in objects:
        yield item["owner"]
        if item["pointers"]:
            yield f"    pointed to by {'; '.join(item['pointers'][:6])}"
        if item["before"]:
            yield f"    {item['before']}"
        yield from (f"    {text}" for text in item["contents"])


def _tasks(tasks: list[dict[str, Any]]) -> Iterator[str]:
    for row in tasks[:_MOST_TASKS]:
        cpu = "" if row["cpu"] is None else f"CPU {row['cpu']}"
        frames = [name for name in row["frames"] if name not in ("__switch_to", "__schedule")]
        yield (
            f"{row['name']:<16} {row['pid']:>6} {row['state'] or '?':<16} {cpu:<6} "
            f"{' < '.join(frames[:5])}"
        )
    if len(tasks) > _MOST_TASKS:
        yield f"and {len(tasks) - _MOST_TASKS} more"


def _stacks(stacks: list[dict[str, Any]]) -> Iterator[str]:
    for row in stacks[:_MOST_STACKS]:
        damaged = "" if row["intact"] else "  WRITTEN OVER AT ITS END"
        yield (
            f"{row['task']:<24} {row['now']:>6} bytes now, {row['most']:>6} at most, "
            f"of {row['size']}{damaged}"
        )
    if len(stacks) > _MOST_STACKS:
        yield f"and {len(stacks) - _MOST_STACKS} more"


def _events(events: dict[str, list[str]]) -> Iterator[str]:
    for cpu, lines in events.items():
        yield f"CPU {cpu}"
        yield from (f"  {text}" for text in lines)
