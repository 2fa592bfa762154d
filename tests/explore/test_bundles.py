"""Bundles: packed and opened again, and what strangers may put into them."""

from __future__ import annotations

import hashlib
import json
import random
import warnings
import zipfile
from pathlib import Path

import pytest

from wdbg.errors import BadInput
from wdbg.explore.bundles import (
    INITRD,
    KERNEL,
    LIMITS,
    MANIFEST,
    RECORDING,
    is_bundle,
    make_bundle,
    open_bundle,
    read_manifest,
    read_report,
)
from wdbg.runtime.recording import Recording, write

KERNEL_DATA, INITRD_DATA = b"\0asm kernel" * 50, b"070701 initrd" * 50


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(name="parts")
def parts_fixture(tmp_path: Path):
    kernel, initrd = tmp_path / "k.wasm", tmp_path / "i.cpio"
    kernel.write_bytes(KERNEL_DATA)
    initrd.write_bytes(INITRD_DATA)
    recording = tmp_path / "r.wdr"
    write(
        recording,
        Recording(
            sha(KERNEL_DATA), sha(INITRD_DATA), "/some/where", "/else/where", "quiet",
            decisions=((5, 0, 1), (9, 3, 0)), needs=("cuts",), schedule="scripted",
        ),
    )  # fmt: skip
    report = tmp_path / "report.txt"
    report.write_text("what it was")
    return recording, kernel, initrd, report


@pytest.fixture(name="bundle")
def bundle_fixture(parts, tmp_path):
    recording, kernel, initrd, report = parts
    target = tmp_path / "bug.wdbg"
    make_bundle(target, recording, kernel, initrd, reports=[report])
    return target


def test_what_is_packed_comes_out(bundle, tmp_path):
    opened = open_bundle(bundle, tmp_path / "cache")
    assert opened.kernel.read_bytes() == KERNEL_DATA
    assert opened.initrd.read_bytes() == INITRD_DATA
    assert opened.recording.decisions == ((5, 0, 1), (9, 3, 0))
    assert opened.recording.kernel_path == opened.recording.initrd_path == ""
    assert read_report(bundle, "report.txt") == b"what it was"
    assert is_bundle(bundle)
    assert read_manifest(bundle) == opened.manifest
    files = sorted(path.name for path in (tmp_path / "cache").rglob("*") if path.is_file())
    assert files == [INITRD, KERNEL]


def test_equal_contents_make_equal_files(parts, bundle, tmp_path):
    recording, kernel, initrd, report = parts
    again = tmp_path / "again.wdbg"
    make_bundle(again, recording, kernel, initrd, reports=[report])
    assert again.read_bytes() == bundle.read_bytes()


def test_without_the_guest_its_hashes_remain(parts, tmp_path):
    recording, kernel, initrd, _ = parts
    (kernel.parent / "build-info.json").write_text('{"llvm": "22", "at": "/home/me"}')
    target = tmp_path / "small.wdbg"
    make_bundle(target, recording, kernel, initrd, with_guest=False)
    opened = open_bundle(target, tmp_path / "cache")
    assert opened.kernel is opened.initrd is None
    assert opened.manifest.kernel.sha256 == sha(KERNEL_DATA)
    assert opened.manifest.kernel.recipe == {"llvm": "22"}
    assert not (tmp_path / "cache").exists()


def test_a_damaged_copy_in_the_cache_is_written_anew(bundle, tmp_path):
    opened = open_bundle(bundle, tmp_path / "cache")
    opened.kernel.write_bytes(b"damaged")
    assert open_bundle(bundle, tmp_path / "cache").kernel.read_bytes() == KERNEL_DATA


def rewrite(bundle: Path, target: Path, change) -> Path:
    """A copy whose members `change(dict)` has changed."""
    with zipfile.ZipFile(bundle) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return target


def manifest_with(**changes):
    def change(members):
        fields = json.loads(members[MANIFEST])
        for key, value in changes.items():
            fields[key] = value
        members[MANIFEST] = json.dumps(fields).encode()

    return change


def no_recording(members):
    del members[RECORDING]


def other_kernel(members):
    members[KERNEL] = b"\0asm another"


def no_manifest(members):
    del members[MANIFEST]


def many_files(members):
    members.update({f"x{i}": b"" for i in range(200)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (manifest_with(version=2), "version 2"),
        (manifest_with(format="zip"), "another format"),
        (manifest_with(reports={"../../etc/passwd": {}}), "manifest"),
        (manifest_with(kernel={"sha256": "../x", "size": 1, "included": True}), "makes no sense"),
        (manifest_with(kernel=None), "manifest"),
        (manifest_with(recording=[]), "manifest"),
        (no_recording, "recording.wdr cannot be read"),
        (other_kernel, "not what the manifest says"),
        (no_manifest, "manifest"),
        (many_files, "too many files"),
    ],
)
def test_what_does_not_fit_is_refused(bundle, tmp_path, change, message):
    bad = rewrite(bundle, tmp_path / "bad.wdbg", change)
    with pytest.raises(BadInput, match=message):
        open_bundle(bad, tmp_path / "cache")


def test_another_recordings_kernel_is_refused(parts, tmp_path):
    recording, _, initrd, report = parts
    target = tmp_path / "mixed.wdbg"
    make_bundle(target, recording, report, initrd)
    with pytest.raises(BadInput, match="not those of its recording"):
        open_bundle(target, tmp_path / "cache")


def test_a_bomb_is_not_unpacked(bundle, tmp_path, monkeypatch):
    monkeypatch.setitem(LIMITS, KERNEL, 1000)

    def change(members):
        fields = json.loads(members[MANIFEST])
        fields["kernel"]["size"] = 1 << 24
        members[KERNEL] = bytes(1 << 24)
        members[MANIFEST] = json.dumps(fields).encode()

    bomb = rewrite(bundle, tmp_path / "bomb.wdbg", change)
    assert bomb.stat().st_size < 1 << 16
    with pytest.raises(BadInput, match="larger than 1000 bytes"):
        open_bundle(bomb, tmp_path / "cache")


def test_two_members_of_one_name_are_refused(bundle, tmp_path):
    double = tmp_path / "double.wdbg"
    double.write_bytes(bundle.read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(double, "a") as archive:
            archive.writestr(KERNEL, b"again")
    with pytest.raises(BadInput, match="two of one name"):
        open_bundle(double, tmp_path / "cache")


def test_damaged_bundles_never_do_more_than_say_so(bundle, tmp_path):
    """Bytes changed, cut off, doubled: BadInput or the whole contents, and no file elsewhere."""
    data = bundle.read_bytes()
    rng = random.Random(1)
    cache = tmp_path / "deep" / "cache"
    target = tmp_path / "mutant.wdbg"
    before = {path for path in tmp_path.rglob("*") if cache not in path.parents}
    refused = 0
    for _ in range(1500):
        mutant = bytearray(data)
        kind = rng.randrange(4)
        if kind == 0:
            del mutant[rng.randrange(len(mutant)) :]
        elif kind == 1:
            at = rng.randrange(len(mutant))
            mutant[at:at] = mutant[at : at + rng.randrange(200)]
        else:
            for _ in range(1 + rng.randrange(6)):
                mutant[rng.randrange(len(mutant))] = rng.choice((0, 1, 0xFF, rng.randrange(256)))
        target.write_bytes(mutant)
        try:
            opened = open_bundle(target, cache)
            read_report(target, "report.txt")
        except BadInput:
            refused += 1
        else:
            assert opened.kernel.read_bytes() == KERNEL_DATA
    assert refused > 700
    after = {path for path in tmp_path.rglob("*") if cache not in path.parents}
    assert after - before <= {target, cache.parent, cache}
