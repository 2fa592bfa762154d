"""The build script of the guest's user space: its archive, and its rules for programs."""

from __future__ import annotations

import importlib.util
import io
import sys

import pytest


@pytest.fixture
def module(tree, monkeypatch):
    """module(name): one of the build script's own modules."""

    def load(name):
        spec = importlib.util.spec_from_file_location(name, tree / f"examples/guest/user/{name}.py")
        loaded = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, loaded)
        spec.loader.exec_module(loaded)
        return loaded

    return load


def unpack(archive: bytes) -> dict[str, tuple[dict[str, int], bytes]]:
    """Read a "newc" archive as cpio(5) describes it: path -> (fields, data)."""
    names = "ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize"
    found, at = {}, 0
    while True:
        assert archive[at : at + 6] == b"070701"
        header = archive[at + 6 : at + 110].decode()
        values = [int(header[i : i + 8], 16) for i in range(0, 104, 8)]
        fields = dict(zip([*names.split(), "check"], values, strict=True))
        end = at + 110 + fields["namesize"]
        path = archive[at + 110 : end - 1].decode()
        data = -(-end // 4) * 4
        at = -(-(data + fields["filesize"]) // 4) * 4
        if path == "TRAILER!!!":
            assert not archive[at:].strip(b"\0")
            return found
        found[path] = fields, archive[data : data + fields["filesize"]]


def test_archive(module):
    cpio = module("cpio")
    archive = cpio.newc([
        cpio.Node("d", cpio.S_IFDIR | 0o755, 1, 2),
        cpio.Node("d/file", cpio.S_IFREG | 0o644, 2, 2, b"odd"),
        cpio.Node("d/link", cpio.S_IFREG | 0o644, 2, 2),
        cpio.Node("console", cpio.S_IFCHR | 0o600, 3, device=(5, 1)),
    ])  # fmt: skip
    assert len(archive) % 512 == 0
    found = unpack(archive)
    assert list(found) == ["d", "d/file", "d/link", "console"]
    assert found["d"][0]["mode"] == 0o040755
    assert found["d/file"][1] == b"odd"
    assert found["d/link"][1] == b""
    assert found["d/file"][0]["ino"] == found["d/link"][0]["ino"]
    assert found["d/link"][0]["nlink"] == 2
    console = found["console"][0]
    assert (console["rdevmajor"], console["rdevminor"]) == (5, 1)
    assert all(f[k] == 0 for f, _ in found.values() for k in ("uid", "gid", "mtime", "check"))


def section(kind: int, body: bytes) -> bytes:
    return bytes([kind, len(body)]) + body


def name(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def program(imports: list[bytes], exports: list[str]) -> bytes:
    """A module with these import entries and exported functions, and some DWARF."""
    out = io.BytesIO()
    out.write(b"\0asm\1\0\0\0")
    out.write(section(2, bytes([len(imports)]) + b"".join(imports)))
    out.write(section(7, bytes([len(exports)]) + b"".join(name(e) + b"\0\0" for e in exports)))
    out.write(section(10, b"\0"))
    out.write(section(0, name(".debug_info") + b"12345"))
    out.write(section(0, name("name") + b""))
    return out.getvalue()


OFFERED = [
    name("env") + name("memory") + b"\2\3\1\x80\x80\4",
    name("env") + name("__stack_pointer") + b"\3\x7f\1",
    name("env") + name("__indirect_function_table") + b"\1\x70\0\1",
    name("env") + name("__wasm_syscall_6") + b"\0\0",
]
ENTRIES = ["_start", "__libc_clone_callback", "__libc_handle_signal", "__set_tls_base"]


def test_rules_for_programs(module):
    wasmfile = module("wasmfile")
    wasmfile.check_program(program(OFFERED, ENTRIES))
    with pytest.raises(wasmfile.RuleBroken, match="no export _start"):
        wasmfile.check_program(program(OFFERED, ENTRIES[1:]))
    more = program(OFFERED + [name("env") + name(n) + b"\0\0" for n in ("log", "abort")], ENTRIES)
    with pytest.raises(wasmfile.RuleBroken, match=r"no host offers: env\.abort, env\.log"):
        wasmfile.check_program(more)


def test_stripping_takes_dwarf_and_tells_where_it_is(module):
    wasmfile = module("wasmfile")
    whole = program(OFFERED, ENTRIES)
    stripped = wasmfile.strip(whole, "debug/box.wasm")
    names = [s.name for s in wasmfile.sections(stripped)]
    assert names == ["", "", "", "name", "external_debug_info"]
    assert stripped.endswith(name("external_debug_info") + name("debug/box.wasm"))
    code = [[w[s.start : s.end] for s in wasmfile.sections(w) if s.kind] for w in (whole, stripped)]
    assert code[0] == code[1]
