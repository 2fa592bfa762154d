"""What is inconsistent in a kernel's memory: lists that lead nowhere, counts that do not add up,
memory that nobody may write."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

from symbols.wasm.dataplan import data_ranges
from wdbg.analysis.crash.stackuse import STACK_END_MAGIC
from wdbg.analysis.crash.symbols import Names
from wdbg.linux.image import Corrupt, Image, Unknown
from wdbg.linux.percpu import per_cpu, per_cpu_offsets
from wdbg.linux.tasks import walk_tasks

MOST_PROBLEMS = 50
MOST_NODES = 100_000
MAX_ORDER = 16
_NULL_PAGE = 1024
"""Bytes from 0 that hold no data of the kernel's."""


def check_all(names: Names) -> list[str]:
    """A line for each problem. Structures that this kernel does not have are passed over."""
    image = names.snapshot.image
    if image is None:
        return []
    found: list[str] = []
    for check in CHECKS:
        try:
            for problem in check(names, image):
                found.append(problem)
                if len(found) >= MOST_PROBLEMS:
                    return [*found, "and more"]
        except Unknown:
            continue
        except Corrupt as error:
            found.append(str(error))
    return found


def _null_page(names: Names, image: Image) -> Iterator[str]:
    """Address 0 is memory like any other: what is there was written through NULL."""
    module = names.module
    if module is None or any(part.start < _NULL_PAGE for part in data_ranges(module)):
        return
    raw = image.bytes(0, _NULL_PAGE)
    at = 0
    while at < len(raw):
        if raw[at]:
            end = at
            while end < len(raw) and any(raw[end : end + 4]):
                end += 4
            yield f"written through NULL: {raw[at:end].hex(' ')} at {at:#x}"
            at = end
        at += 1


def _stacks(names: Names, image: Image) -> Iterator[str]:
    for address in names.snapshot.facts:
        start = image.field(address, "task_struct", "stack")
        if start and image.number(start) != STACK_END_MAGIC:
            yield (
                f"the end of the stack of {names.task_name(address)} was written over "
                f"({image.number(start):#x} at {start:#x})"
            )


def _tasks(names: Names, image: Image) -> Iterator[str]:
    try:
        known = set(walk_tasks(image))
    except Corrupt as error:
        yield f"the list of tasks is broken: {error}"
        return
    for address, task in names.snapshot.tasks.items():
        if task.idle_cpu is None and address not in known and address in names.snapshot.facts:
            exiting = image.field(address, "task_struct", "exit_state")
            if not exiting and not task.fresh:
                yield f"{names.task_name(address)} is on no list of tasks"


def _slabs(names: Names, image: Image) -> Iterator[str]:
    if names.slabs is None:
        return
    for slab in names.slabs.all():
        yield from slab.problems
    yield from names.slabs.problems


def _pages(names: Names, image: Image) -> Iterator[str]:
    """The buddy allocator's lists of free blocks."""
    zone_size = image.size("zone")
    base = image.address("contig_page_data") + image.member("pglist_data", "node_zones")[0]
    count = image.field(image.address("contig_page_data"), "pglist_data", "nr_zones")
    area_size = image.size("free_area")
    offset, size = image.member("zone", "free_area")
    lists = image.member("free_area", "free_list")[1] // 8
    for number in range(min(count, 8)):
        zone = base + number * zone_size
        for order in range(min(size // area_size, MAX_ORDER)):
            area = zone + offset + order * area_size
            free = image.field(area, "free_area", "nr_free")
            listed = 0
            for kind in range(lists):
                head = area + image.member("free_area", "free_list")[0] + 8 * kind
                what = f"free pages of zone {number}, order {order}, list {kind}"
                listed += yield from _list(image, head, what)
            if listed != free:
                yield f"zone {number}: {free} free blocks of order {order}, {listed} are on lists"


def _list(image: Image, head: int, what: str) -> Generator[str, None, int]:
    """Walk a struct list_head; returns how many nodes it has."""
    count, before = 0, head
    node = image.field(head, "list_head", "next")
    if not node and not image.field(head, "list_head", "prev"):
        return 0  # never set up
    while node != head:
        if count > MOST_NODES:
            yield f"{what}: the list at {head:#x} does not end"
            break
        try:
            back = image.field(node, "list_head", "prev")
            following = image.field(node, "list_head", "next")
        except Corrupt:
            yield f"{what}: the list at {head:#x} leads to {node:#x}, where no memory is"
            break
        if back != before:
            yield f"{what}: {node:#x} points back to {back:#x}, and {before:#x} points to it"
            break
        count, before, node = count + 1, node, following
    return count


def _runqueues(names: Names, image: Image) -> Iterator[str]:
    """The numbers of tasks on runqueues."""
    waiting: dict[int, int] = {}
    for address in names.snapshot.facts:
        if image.field(address, "task_struct", "on_rq") == 1:
            cpu = names.snapshot.facts[address].cpu
            idle = names.snapshot.tasks.get(address)
            if idle is None or idle.idle_cpu is None:
                waiting[cpu] = waiting.get(cpu, 0) + 1
    for number in range(len(per_cpu_offsets(image))):
        rq = per_cpu(image, "runqueues", number)
        count = image.field(rq, "rq", "nr_running")
        if count != waiting.get(number, 0):
            yield (
                f"CPU {number}'s runqueue counts {count} tasks, and {waiting.get(number, 0)} "
                "say that they are on it"
            )


def _timers(names: Names, image: Image) -> Iterator[str]:
    """Timers in the wheel: hlists whose nodes point back to what points to them."""
    size, (offset, length) = image.size("timer_base"), image.member("timer_base", "vectors")
    static = image.address("timer_bases")
    bases = max(1, _bases(names, size))
    for cpu, shift in enumerate(per_cpu_offsets(image)):
        for base in range(bases):
            address = (static + shift + base * size) & 0xFFFF_FFFF
            for slot in range(length // 4):
                head = address + offset + 4 * slot
                yield from _hlist(image, head, f"timers of CPU {cpu}, base {base}, slot {slot}")


def _bases(names: Names, size: int) -> int:
    index = names.snapshot.index
    variable = index.variable("timer_bases") if index is not None else None
    return variable.type.size // size if variable is not None else 1


def _hlist(image: Image, head: int, what: str) -> Iterator[str]:
    link, node, count = head, image.number(head), 0
    while node:
        if count > MOST_NODES:
            yield f"{what}: the list does not end"
            return
        try:
            back, following = image.number(node + 4), image.number(node)
        except Corrupt:
            yield f"{what}: leads to {node:#x}, where no memory is"
            return
        if back != link:
            yield f"{what}: {node:#x} points back to {back:#x}, and {link:#x} points to it"
            return
        link, node, count = node, following, count + 1


CHECKS: tuple[Callable[[Names, Image], Iterator[str]], ...] = (
    _null_page, _stacks, _slabs, _tasks, _runqueues, _pages, _timers,
)  # fmt: skip
