"""RCU's grace periods (kernel/rcu/tree.c)."""

from __future__ import annotations

from dataclasses import dataclass

from wdbg.linux.image import Corrupt, Image, Unknown

_MOST_READERS = 4096
_PHASE = 3
"""RCU_SEQ_STATE_MASK: not 0 while a grace period is under way."""


@dataclass(frozen=True, slots=True)
class GracePeriod:
    """One that is under way."""

    number: int
    jiffies: int
    """How long it has lasted."""


def jiffies(image: Image) -> int:
    """The counter of timer ticks, 32 bits."""
    return image.number(image.address("jiffies_64"))


def grace_period(image: Image) -> GracePeriod | None:
    """The grace period under way; None if there is none, or nothing is known of it."""
    try:
        state = image.address("rcu_state")
        number = image.field(state, "rcu_state", "gp_seq")
        if not number & _PHASE:
            return None
        start = image.field(state, "rcu_state", "gp_start")
        return GracePeriod(number, (jiffies(image) - start) & 0xFFFFFFFF)
    except (Corrupt, Unknown):
        return None


def holdouts(image: Image) -> tuple[list[int], list[int]]:
    """What the grace period waits for: (numbers of CPUs that have not passed a quiescent state,
    tasks that have been preempted in a read-side section)."""
    cpus: list[int] = []
    readers: list[int] = []
    try:
        state = image.address("rcu_state")
        size = image.size("rcu_node")
        offset, length = image.member("rcu_state", "node")
        link = image.member("task_struct", "rcu_node_entry")[0]
        head_at = image.member("rcu_node", "blkd_tasks")[0]
        for number in range(length // size):
            node = state + offset + number * size
            low = image.field(node, "rcu_node", "grplo")
            high = image.field(node, "rcu_node", "grphi")
            mask = image.field(node, "rcu_node", "qsmask")
            if high - low < 32 and not _has_children(image, state, offset, size, length, node):
                cpus += [low + bit for bit in range(high - low + 1) if mask >> bit & 1]
            first = image.field(node, "rcu_node", "gp_tasks")
            at = first
            for _ in range(_MOST_READERS):
                if not first or not at or at == node + head_at:
                    break
                readers.append(at - link)
                at = image.field(at, "list_head", "next")
    except (Corrupt, Unknown):
        pass
    return cpus, readers


def _has_children(image: Image, state: int, offset: int, size: int, length: int, node: int) -> bool:
    return any(
        image.field(state + offset + n * size, "rcu_node", "parent") == node
        for n in range(length // size)
    )
