"""Slab caches, as mm/slub.c keeps them: which object an address belongs to, and whether it is
allocated. Kernels without SLUB_DEBUG have no list of full slabs, so all pages are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from wdbg.linux.image import Corrupt, Image, Unknown
from wdbg.linux.percpu import per_cpu_offsets

PAGE = 4096
MOST_CACHES = 4096
MOST_OBJECTS = 32767
"""Of a slab: struct slab has 15 bits for their number."""
PGTY_SLAB = 0xF5
"""enum pagetype of include/linux/page-flags.h, version 6.12: the upper byte of page_type."""


@dataclass(frozen=True, slots=True)
class Cache:
    """A struct kmem_cache."""

    address: int
    name: str
    size: int
    """Bytes from one object to the next."""
    object_size: int
    offset: int
    """Of the pointer to the next free object, in a free object."""


@dataclass(frozen=True, slots=True)
class Slab:
    """A struct slab with its objects."""

    address: int
    start: int
    """Of the first object."""
    cache: Cache
    objects: int
    inuse: int
    free: frozenset[int]
    """Addresses of free objects."""
    problems: tuple[str, ...] = ()
    """What is wrong with its list of free objects."""


@dataclass(frozen=True, slots=True)
class SlabObject:
    """An object that an address belongs to."""

    cache: Cache
    start: int
    allocated: bool
    padding: bool = False
    """The address is behind the object's end, before the next one."""
    slab: Slab | None = field(default=None, compare=False)


class Slabs:
    """All slabs of one kernel. Unknown if it has others than this knows."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self.problems: list[str] = []
        """What is wrong with the lists of caches."""

    @cached_property
    def caches(self) -> dict[int, Cache]:
        """By the address of their struct kmem_cache."""
        image = self._image
        head = image.address("slab_caches")
        link = image.member("kmem_cache", "list")[0]
        found: dict[int, Cache] = {}
        node = image.field(head, "list_head", "next")
        while node != head:
            address = node - link
            if not node or address in found or len(found) >= MOST_CACHES:
                self.problems.append(f"the list slab_caches is broken at {node:#x}")
                break
            try:
                found[address] = self._cache(address)
                node = image.field(node, "list_head", "next")
            except Corrupt as error:
                self.problems.append(f"the list slab_caches is broken: {error}")
                break
        return found

    def _cache(self, address: int) -> Cache:
        image = self._image
        size = image.field(address, "kmem_cache", "size")
        object_size = image.field(address, "kmem_cache", "object_size")
        if not 0 < object_size <= size <= 1 << 22:
            raise Corrupt(f"no slab cache at {address:#x}: objects of {size} bytes")
        raw = image.bytes(image.field(address, "kmem_cache", "name"), 64)
        name = raw.split(b"\0", 1)[0].decode("ascii", "backslashreplace")
        offset = image.field(address, "kmem_cache", "offset")
        return Cache(address, name, size, object_size, offset)

    @cached_property
    def _heads(self) -> tuple[dict[int, int], np.ndarray]:
        """Number of its first page by the address of each slab; and for each page the number of
        its slab's first page, -1 for those of no slab."""
        image = self._image
        size = image.size("page")
        base = image.number(image.address("mem_map"))
        count = image.number(image.address("max_mapnr"))
        if not 0 < count <= 1 << 20 or size % 4:
            raise Corrupt(f"a memory map of {count} pages")
        words = np.frombuffer(image.bytes(base, count * size), "<u4").reshape(count, size // 4)
        kinds = words[:, image.member("page", "page_type")[0] // 4] >> 24
        heads = words[:, image.member("page", "compound_head")[0] // 4]
        slabs = np.flatnonzero(kinds == PGTY_SLAB)
        pages = np.full(count, -1, np.int64)
        pages[slabs] = slabs
        is_tail = heads & 1 == 1
        parent = (heads.astype(np.int64) - 1 - base) // size
        tails = np.flatnonzero(is_tail & (parent >= 0) & (parent < count))
        tails = tails[kinds[parent[tails]] == PGTY_SLAB]
        pages[tails] = parent[tails]
        return {base + int(number) * size: int(number) for number in slabs}, pages

    @cached_property
    def _on_cpus(self) -> dict[int, list[int]]:
        """Heads of the CPUs' own lists of free objects, by slab."""
        image = self._image
        found: dict[int, list[int]] = {}
        for cache in self.caches:
            percpu = image.field(cache, "kmem_cache", "cpu_slab")
            for offset in per_cpu_offsets(image):
                here = (percpu + offset) & 0xFFFF_FFFF
                try:
                    slab = image.field(here, "kmem_cache_cpu", "slab")
                    if slab:
                        free = image.field(here, "kmem_cache_cpu", "freelist")
                        found.setdefault(slab, []).append(free)
                except Corrupt:
                    continue
        return found

    def all(self) -> Iterator[Slab]:
        """All slabs, in the order of their memory."""
        for number in self._heads[0].values():
            slab = self._slab(number)
            if slab is not None:
                yield slab

    def _slab(self, number: int) -> Slab | None:
        """The slab whose first page has that number; None if its cache is none."""
        image = self._image
        size = image.size("page")
        address = image.number(image.address("mem_map")) + number * size
        cache = self.caches.get(image.field(address, "slab", "slab_cache"))
        if cache is None:
            return None
        counters = image.field(address, "slab", "counters")
        objects = counters >> 16 & 0x7FFF
        start = number * PAGE
        free: set[int] = set()
        problems: list[str] = []
        heads = [image.field(address, "slab", "freelist"), *self._on_cpus.get(address, ())]
        for head in heads:
            self._walk(cache, start, objects, head, free, problems)
        return Slab(
            address, start, cache, objects, counters & 0xFFFF, frozenset(free), tuple(problems)
        )

    def _walk(
        self,
        cache: Cache,
        start: int,
        objects: int,
        node: int,
        free: set[int],
        problems: list[str],
    ) -> None:
        before = 0
        while node:
            where = f"{cache.name}: slab at {start:#x}: the list of free objects"
            after = f" after {before:#x}" if before else ""
            inside = 0 <= node - start < objects * cache.size
            if not inside or (node - start) % cache.size:
                problems.append(f"{where} leads to {node:#x}{after}, which is no object of it")
                return
            if node in free:
                problems.append(f"{where} comes to {node:#x} twice{after}: a double free")
                return
            free.add(node)
            before = node
            node = self._image.number(node + cache.offset, 4)

    def find(self, address: int) -> SlabObject | None:
        """The object at an address; None if no slab is there."""
        _, pages = self._heads
        number = address // PAGE
        if not 0 <= number < len(pages) or pages[number] < 0:
            return None
        slab = self._slab(int(pages[number]))
        if slab is None:
            return None
        index, inside = divmod(address - slab.start, slab.cache.size)
        if index >= slab.objects:
            return None
        start = slab.start + index * slab.cache.size
        padding = inside >= slab.cache.object_size
        return SlabObject(slab.cache, start, start not in slab.free, padding, slab)


def open_slabs(image: Image) -> Slabs | None:
    """The slabs; None if the kernel keeps them in a way that is not known here."""
    slabs = Slabs(image)
    try:
        if not slabs.caches:
            return None
        slabs._heads  # noqa: B018 - computed once, here: it raises if the pages say otherwise
    except (Unknown, Corrupt):
        return None
    return slabs
