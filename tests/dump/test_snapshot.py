"""The frozen state of a machine that stands still."""

from __future__ import annotations

from wdbg.dump.snapshot import Snapshot
from wdbg.linux.tasks import walk_tasks


def test_tasks_are_the_kernels(snapshot):
    assert snapshot.tick == 665_000
    listed = set(walk_tasks(snapshot.image))
    idle = {address for address, task in snapshot.tasks.items() if task.idle_cpu is not None}
    assert len(idle) == 4
    assert set(snapshot.tasks) | idle == listed | idle
    assert snapshot.facts[next(iter(snapshot.tasks))].comm == "swapper/0"


def test_frames_have_values(snapshot):
    kthreadd = next(a for a, facts in snapshot.facts.items() if facts.comm == "kthreadd")
    frames = snapshot.frames(kthreadd)
    names = [frame.function for frame in frames]
    assert names[:3] == ["__switch_to", "__schedule", "schedule"]
    assert "kthreadd" in names
    assert frames[0].locals[0] == kthreadd  # __switch_to(prev, next)
    assert frames[0].stack_pointer
    assert not frames[1].stack_pointer
    assert all(frame.start <= frame.offset for frame in frames)


def test_cpus_run_tasks(snapshot):
    assert [cpu.number for cpu in snapshot.cpus] == [0, 1, 2, 3]
    assert all(cpu.task in snapshot.tasks for cpu in snapshot.cpus)
    assert snapshot.cpu_of(snapshot.cpus[1].task) == snapshot.cpus[1]
    assert snapshot.cpu_of(0x123) is None


def test_without_stop_points_frames_have_no_values(booted, snapshot):
    bare = Snapshot.of_machine(booted("tick"), index=snapshot.index)
    assert list(bare.tasks) == list(snapshot.tasks)
    assert any("stop points" in note for note in bare.notes)
    for address, task in bare.tasks.items():
        assert not any(frame.locals for frame in task.frames)
        names = [frame.function for frame in task.frames]
        assert names == [frame.function for frame in snapshot.frames(address)]


def test_what_was_booted_is_known(snapshot, guest):
    assert snapshot.boot.kernel == str(guest.kernel)
    assert snapshot.boot.cpus == 4
    kernel = snapshot.modules[0]
    assert kernel.path == guest.kernel
    assert len(kernel.digest) == 64
    assert snapshot.stop.kind == "running"
