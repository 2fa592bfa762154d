"""Bundles: a recording with all that a replay on another machine takes, in one file.

A ZIP archive with fixed member names (docs/bundles.md). What comes from a stranger is read with
care: only members of these names, none larger than its limit, each checked against the manifest's
hash; nothing is ever written under a name that the archive chooses, compiled code is no member.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wdbg import __version__
from wdbg.errors import BadInput
from wdbg.instrument.cache import cache_root
from wdbg.runtime.recording import Recording, parse

FORMAT, VERSION = "wdbg-bundle", 1
MANIFEST, RECORDING = "bundle.json", "recording.wdr"
KERNEL, INITRD, REPORTS = "vmlinux.wasm", "initrd.cpio", "reports/"
MAGIC = b"PK\x03\x04"

MANIFEST_LIMIT = 1 << 20
LIMITS = {RECORDING: 256 << 20, KERNEL: 512 << 20, INITRD: 512 << 20}
"""Largest members, bytes."""
REPORT_LIMIT, MOST_REPORTS = 16 << 20, 64
RECIPE_LIMIT = 64 << 10

_REPORT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}\Z")
_PATH = re.compile(r"\.{0,2}/")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, KeyError,
    TypeError, NotImplementedError, RuntimeError, OverflowError, IndexError, MemoryError,
)  # fmt: skip
"""What `zipfile` and `json` raise on what they do not understand."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a bundle."""

    sha256: str
    """Hexadecimal."""
    size: int
    """Bytes; 0 if it is not included."""
    included: bool
    recipe: Mapping[str, Any] | None = None
    """How to build it (`build-info.json` of the example guest)."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle holds."""

    kernel: Member
    initrd: Member | None
    recording: Member
    reports: Mapping[str, Member]
    wdbg: str
    """Version that made it."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A bundle's contents, unpacked into the user's cache."""

    manifest: Manifest
    recording: Recording
    """Without the places where kernel and initrd were on another machine."""
    kernel: Path | None
    """None: not included."""
    initrd: Path | None


def is_bundle(path: Path) -> bool:
    """The file begins as a bundle does."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


# ---- making


def make_bundle(
    target: Path,
    recording: Path,
    kernel: Path,
    initrd: Path | None,
    *,
    with_guest: bool = True,
    reports: Iterable[Path] = (),
) -> Manifest:
    """Pack; `with_guest` False leaves kernel and initrd out but for their hashes and recipe.
    BadInput for files that cannot be read, are too large, or have names that no bundle takes."""
    contents = {RECORDING: _take(recording, LIMITS[RECORDING])}
    kernel_data = _take(kernel, LIMITS[KERNEL])
    initrd_data = None if initrd is None else _take(initrd, LIMITS[INITRD])
    report_members = {}
    for report in reports:
        if not _REPORT_NAME.match(report.name) or REPORTS + report.name in contents:
            raise BadInput(f"{report}: a report needs a plain name of its own in a bundle")
        data = contents[REPORTS + report.name] = _take(report, REPORT_LIMIT)
        report_members[report.name] = _member(data)
    if len(report_members) > MOST_REPORTS:
        raise BadInput(f"{len(report_members)} reports: {MOST_REPORTS} are possible")
    if with_guest:
        contents[KERNEL] = kernel_data
        if initrd_data is not None:
            contents[INITRD] = initrd_data
    manifest = Manifest(
        _member(kernel_data, with_guest, _recipe(kernel)),
        None if initrd_data is None else _member(initrd_data, with_guest),
        _member(contents[RECORDING]),
        report_members,
        __version__,
    )
    fields = {"format": FORMAT, "version": VERSION, **asdict(manifest)}
    contents = {MANIFEST: json.dumps(fields, indent=1).encode(), **contents}
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in contents.items():
                info = zipfile.ZipInfo(name)  # its date is 1980: equal contents, equal files
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, data)
        os.replace(temporary, target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise BadInput(f"{target}: {error.strerror}") from None
    return manifest


def _take(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    if len(data) > limit:
        raise BadInput(f"{path}: larger than the {limit >> 20} MiB that a bundle takes")
    return data


def _member(data: bytes, included: bool = True, recipe: Mapping[str, Any] | None = None) -> Member:
    digest = hashlib.sha256(data).hexdigest()
    return Member(digest, len(data) if included else 0, included, recipe)


def _recipe(kernel: Path) -> Mapping[str, Any] | None:
    """How the example guest's build script made the kernel, without paths of this machine."""
    try:
        fields = json.loads((kernel.resolve().parent / "build-info.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(fields, dict):
        return None
    return {key: value for key, value in fields.items() if not _PATH.match(str(value))}


# ---- opening


def read_manifest(path: Path) -> Manifest:
    """What a bundle says it holds. BadInput if it is none or damaged."""
    with _archive(path) as archive:
        return _manifest(path, archive)


def open_bundle(path: Path, directory: Path | None = None) -> Opened:
    """Unpack a bundle into `directory` (the user's cache), each file under its own hash. BadInput
    if it is none, damaged, or its contents are not what its manifest says."""
    place = cache_root() / "bundles" if directory is None else directory
    with _archive(path) as archive:
        manifest = _manifest(path, archive)
        data = _contents(path, archive, RECORDING, manifest.recording, LIMITS[RECORDING])
        recording = parse(data, f"{path}: {RECORDING}")
        initrd = manifest.initrd
        if recording.kernel != manifest.kernel.sha256 or recording.initrd != (
            "" if initrd is None else initrd.sha256
        ):
            raise BadInput(f"{path}: kernel and initrd are not those of its recording")
        for name, member in manifest.reports.items():
            _contents(path, archive, REPORTS + name, member, REPORT_LIMIT)
        unpacked = {
            name: _unpack(path, archive, name, member, place)
            for name, member in ((KERNEL, manifest.kernel), (INITRD, initrd))
            if member is not None and member.included
        }
    fields = {name: getattr(recording, name) for name in Recording.__dataclass_fields__}
    clean = Recording(**fields | {"kernel_path": "", "initrd_path": ""})
    return Opened(manifest, clean, unpacked.get(KERNEL), unpacked.get(INITRD))


def read_report(path: Path, name: str) -> bytes:
    """One of a bundle's reports."""
    with _archive(path) as archive:
        member = _manifest(path, archive).reports.get(name)
        if member is None:
            raise BadInput(f"{path}: holds no report {name}")
        return _contents(path, archive, REPORTS + name, member, REPORT_LIMIT)


def _archive(path: Path) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(path)
    except FileNotFoundError:
        raise BadInput(f"{path}: No such file or directory") from None
    except _DAMAGED as error:
        raise BadInput(f"{path}: no bundle: {error}") from None
    names = archive.namelist()
    if len(names) > MOST_REPORTS + 4 or len(set(names)) != len(names):
        archive.close()
        raise BadInput(f"{path}: no bundle: too many files, or two of one name")
    return archive


def _manifest(path: Path, archive: zipfile.ZipFile) -> Manifest:
    try:
        fields = json.loads(_read(archive, MANIFEST, MANIFEST_LIMIT))
        if fields["format"] != FORMAT:
            raise ValueError("another format")
        version = fields["version"]
        if version != VERSION:
            raise BadInput(f"{path}: a bundle of version {version!r:.20}; this is {VERSION}")
        reports = {name: _checked(member) for name, member in fields["reports"].items()}
        if len(reports) > MOST_REPORTS or not all(_REPORT_NAME.match(name) for name in reports):
            raise ValueError("reports of impossible names")
        initrd = fields["initrd"]
        return Manifest(
            _checked(fields["kernel"]), None if initrd is None else _checked(initrd),
            _checked(fields["recording"]), reports, str(fields["wdbg"])[:40],
        )  # fmt: skip
    except (*_DAMAGED, AttributeError, RecursionError) as error:
        raise BadInput(f"{path}: no bundle: its manifest cannot be read: {error}") from None


def _checked(fields: Mapping[str, Any]) -> Member:
    digest, size, included = fields["sha256"], fields["size"], fields["included"]
    recipe = fields.get("recipe")
    if (
        not isinstance(digest, str)
        or not _DIGEST.match(digest)
        or type(size) is not int
        or size < 0
        or not isinstance(included, bool)
        or not (recipe is None or (isinstance(recipe, dict) and len(str(recipe)) < RECIPE_LIMIT))
    ):
        raise ValueError("a member's description makes no sense")
    return Member(digest, size, included, recipe)


def _read(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """A member, whatever size its header says: no more than `limit` bytes are ever unpacked."""
    info = archive.getinfo(name)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is compressed in another way")
    if info.file_size > limit:
        raise ValueError(f"{name} is larger than {limit} bytes")
    with archive.open(info) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"{name} is larger than {limit} bytes")
    return data


def _contents(
    path: Path, archive: zipfile.ZipFile, name: str, member: Member, limit: int
) -> bytes:
    try:
        data = _read(archive, name, limit)
    except _DAMAGED as error:
        raise BadInput(f"{path}: {name} cannot be read: {error}") from None
    if len(data) != member.size or hashlib.sha256(data).hexdigest() != member.sha256:
        raise BadInput(f"{path}: {name} is not what the manifest says: the bundle is damaged")
    return data


def _unpack(
    path: Path, archive: zipfile.ZipFile, name: str, member: Member, place: Path
) -> Path:
    """A member as a file in a directory of its hash; written once, and checked if it is there."""
    target = place / member.sha256 / name
    try:
        if target.is_file() and _file_digest(target) == member.sha256:
            return target
        data = _contents(path, archive, name, member, LIMITS[name])
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{name}.{os.getpid()}")
        temporary.write_bytes(data)
        os.replace(temporary, target)
    except OSError as error:
        raise BadInput(f"{target}: {error.strerror}") from None
    return target


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
