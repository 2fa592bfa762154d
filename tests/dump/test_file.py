"""Dumps as files: round trips, damage, full disks."""

from __future__ import annotations

import random
import resource

import pytest

from wdbg.dump import container
from wdbg.dump.container import START_SIZE, DumpError, Reader
from wdbg.dump.file import read_dump, write_dump
from wdbg.dump.pages import PIECE
from wdbg.errors import BadInput, WdbgError
from wdbg.runtime.memory import GuestFault


@pytest.fixture(scope="session", name="dump")
def dump_fixture(snapshot, tmp_path_factory):
    path = tmp_path_factory.mktemp("dump") / "guest.dump"
    write_dump(path, snapshot, {"trace": b"no trace"})
    return path


def test_what_is_written_is_read(snapshot, dump):
    found = read_dump(dump)
    assert found.tasks == snapshot.tasks
    assert found.cpus == snapshot.cpus
    assert found.modules == snapshot.modules
    assert found.boot == snapshot.boot
    assert (found.tick, found.virtual_ns) == (snapshot.tick, snapshot.virtual_ns)
    size = snapshot.memory.size()
    assert found.memory.size() == size
    for start in range(0, size, 8 << 20):
        assert found.memory.read(start, 8 << 20) == snapshot.memory.read(start, 8 << 20)
    assert found.facts == snapshot.facts
    assert found.console == snapshot.console
    assert found.sections["trace"] == b"no trace"
    assert not found.notes


def test_reads_across_pieces(snapshot, dump):
    memory = read_dump(dump).memory
    start = 3 * PIECE - 5
    assert memory.read(start, 10) == snapshot.memory.read(start, 10)
    assert memory.read(memory.size() - 1, 1) == snapshot.memory.read(memory.size() - 1, 1)
    assert memory.read(memory.size(), 0) == b""
    for address, length in ((memory.size() - 1, 2), (-1, 1), (1 << 40, 1), (0, -1)):
        with pytest.raises(GuestFault):
            memory.read(address, length)


def test_a_program_that_is_gone_comes_out_of_the_dump(snapshot, dump, cache_home, guest):
    kernel = snapshot.modules[0].path
    raw = dump.read_bytes()
    programs = [module for module in snapshot.modules if module.number]
    assert programs
    assert programs[0].path is not None
    elsewhere = dump.with_name("elsewhere.dump")
    state = container.Reader(dump).read("state")
    renamed = state.replace(str(programs[0].path).encode(), b"/nowhere/at all.wasm")
    with elsewhere.open("wb") as file:
        writer = container.Writer(file)
        reader = Reader(dump)
        for name in reader.sections:
            if name == "memory":
                section = reader.sections[name]
                data = raw[section.offset : section.offset + section.stored]
                writer.stream(name, lambda put, data=data: put(data) and b"")
            else:
                writer.add(name, renamed if name == "state" else reader.read(name))
        writer.finish()
    found = read_dump(elsewhere)
    assert found.modules[0].path == kernel
    assert found.modules[1].path.is_relative_to(cache_home)
    assert found.modules[1].path.read_bytes() == programs[0].path.read_bytes()


def test_an_unknown_kernel_leaves_the_tasks(dump, monkeypatch, tmp_path, snapshot):
    monkeypatch.setattr("wdbg.dump.file._is", lambda path, module: False)
    found = read_dump(dump)
    assert found.index is None
    assert found.tasks == snapshot.tasks
    assert not found.facts
    assert any("--kernel" in note for note in found.notes)


@pytest.mark.parametrize("text", [b"", b"wdbgdmp", b"x" * 100, container.MAGIC + b"\1\0"])
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "other"
    path.write_bytes(text)
    with pytest.raises(DumpError):
        read_dump(path)


def test_a_directory_and_nothing_are_refused(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(BadInput):
            read_dump(path)


def test_a_later_version_is_refused_by_name(tmp_path, dump):
    data = bytearray(dump.read_bytes())
    fields = container.START.parse(bytes(data))
    fields.major = 9
    start = container.START.build(fields)
    import zlib

    crc = zlib.crc32(start[: START_SIZE - 8]).to_bytes(4, "little")
    path = tmp_path / "later"
    path.write_bytes(start[: START_SIZE - 8] + crc + bytes(4) + data[START_SIZE:])
    with pytest.raises(DumpError, match="version 9"):
        read_dump(path)


def test_damage_is_an_error_or_a_note(tmp_path, dump, snapshot):
    """Every byte may be anything, and the file may end anywhere."""
    data = dump.read_bytes()
    random_ = random.Random(1)
    path = tmp_path / "damaged"
    directory = data[container.START.parse(data).directory :]
    outcomes, messages = set(), []
    for number in range(150):
        changed = bytearray(data)
        if number % 3 == 0:
            changed = changed[: random_.randrange(len(data))]
        elif number % 3 == 1:
            at = len(data) - 1 - random_.randrange(len(directory))
            changed[at] ^= 1 << random_.randrange(8)
        else:
            for _ in range(random_.randrange(1, 30)):
                changed[random_.randrange(len(data))] = random_.randrange(256)
        path.write_bytes(changed)
        try:
            found = read_dump(path)
        except WdbgError as error:
            messages.append(error.message)
            outcomes.add("error")
            continue
        outcomes.add("read")
        for address in range(0, found.memory.size(), 16 * PIECE):
            try:
                found.memory.read(address, 16)
            except DumpError:
                outcomes.add("damaged piece")
        assert set(found.facts) <= set(found.tasks) | set(snapshot.facts)
    assert {"error", "read"} <= outcomes
    assert all(str(path) in message for message in messages)


def test_a_full_disk_leaves_nothing(tmp_path, snapshot):
    path = tmp_path / "guest.dump"
    path.write_bytes(b"the old one")
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(WdbgError, match="cannot write"):
            write_dump(path, snapshot)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert [p.name for p in tmp_path.iterdir()] == ["guest.dump"]
    assert path.read_bytes() == b"the old one"
