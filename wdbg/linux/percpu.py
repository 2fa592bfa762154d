"""Per-CPU variables, as include/asm-generic/percpu.h has them."""

from __future__ import annotations

from wdbg.linux.image import Image

MOST_CPUS = 64


def per_cpu_offsets(image: Image) -> list[int]:
    """What to add to a per-CPU variable's address, by CPU number. Unknown without SMP."""
    base = image.address("__per_cpu_offset")
    count = image.number(image.address("nr_cpu_ids"))
    return [image.number(base + 4 * cpu) for cpu in range(min(count, MOST_CPUS))]


def per_cpu(image: Image, variable: str, cpu: int) -> int:
    """Address of a CPU's instance of a variable. Unknown if there is none."""
    offset = image.number(image.address("__per_cpu_offset") + 4 * cpu)
    return (image.address(variable) + offset) & 0xFFFF_FFFF
