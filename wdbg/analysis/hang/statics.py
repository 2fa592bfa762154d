"""Static locks that are held, also those that nobody waits for."""

from __future__ import annotations

from collections.abc import Iterator

from symbols.errors import SymbolsError
from wdbg.analysis.hang.scene import Scene
from wdbg.linux.blocked import On
from wdbg.linux.locks import holding

_STRUCTS = {"mutex": On.MUTEX, "rw_semaphore": On.RWSEM, "rt_mutex_base": On.RT_MUTEX}


def held_statics(scene: Scene) -> Iterator[tuple[On, int, int, bool]]:
    """(kind, address, owner's task or 0, sure) of locks that are variables or members of one."""
    for variable in scene.index.all_variables():
        try:
            bare = variable.type.bare
            places = [(bare.name, 0)]
            places += [(m.type.bare.name, m.offset) for m in bare.flat_members]
        except SymbolsError:
            continue
        for name, offset in places:
            on = _STRUCTS.get(name)
            if on is None:
                continue
            address = variable.address + offset
            found = holding(scene.image, on, address, scene.snapshot.tasks)
            if found is not None and found.held:
                yield on, address, found.owner, found.sure
