"""The modules that LLDB is told of: their code, their files for LLDB, and the list of them."""

from __future__ import annotations

import logging
import mmap
from pathlib import Path
from typing import cast
from xml.sax.saxutils import quoteattr

from symbols.dwarf.index import Index
from symbols.errors import SymbolsError
from symbols.lldb.host import host_module, host_pc
from symbols.lldb.table import Table
from wdbg.debugger.model import Debugger, Frame, ModuleInfo, Place
from wdbg.errors import WdbgError
from wdbg.gdbstub.lldb.address import MOST_MODULES, module_address, split_address
from wdbg.gdbstub.lldb.code import Code
from wdbg.gdbstub.lldb.view import View, view_of
from wdbg.instrument.cache import cache_root

log = logging.getLogger(__name__)
_NO_VARIABLES = Table()
HOST = MOST_MODULES - 1
"""Number of the stub's own module, see `symbols.lldb.host`."""
HOST_PC = module_address(HOST, host_pc())


def prepare(kernel: Path) -> None:
    """Make what LLDB reads of a kernel, unless the cache has it: it takes seconds, and LLDB gives
    up after five. BadInput if the file cannot be read, WdbgError if the cache cannot be written."""
    view_of(kernel.resolve(), 0, cache_root() / "symbols" / "lldb")


class Modules:
    """What has been read of the guest's modules. One object serves all clients of a run."""

    def __init__(self, cache: Path | None = None) -> None:
        """`cache` is where the files for LLDB go."""
        self._cache = cache
        self._code: dict[int, Code] = {}
        self._files: dict[int, bytes] = {}
        self._indexes: dict[int, Index | None] = {}
        self._views: dict[int, View | None] = {}

    def info(self, debugger: Debugger, number: int) -> ModuleInfo | None:
        """A module by its number."""
        return next((info for info in debugger.modules() if info.number == number), None)

    def code(self, debugger: Debugger, number: int) -> Code:
        """Functions of a module; none if the host has no file of it."""
        code = self._code.get(number)
        if code is None:
            info = self.info(debugger, number)
            # The original: the copy for LLDB lacks imports, and with them the globals' indices.
            code = self._code[number] = Code(_mapped(info.path if info else None))
        return code

    def table(self, debugger: Debugger, number: int) -> Table:
        """What the registers stand for in a module's frames."""
        info = self.info(debugger, number)
        view = self.view(info) if info else None
        return view.table if view else _NO_VARIABLES

    def global_value(self, debugger: Debugger, tid: int, frame: Frame, index: int) -> int | None:
        """A global of a frame's module, as DWARF means it there; None if it is not known."""
        module = frame.place.module
        own = index == self.code(debugger, module).stack_pointer
        if own and (frame.stack_pointer or frame.level):
            return frame.stack_pointer or None  # the global itself has the innermost frame's
        return debugger.global_value(tid, module, index)

    def data_base(self, debugger: Debugger, tid: int, number: int) -> int | None:
        """Guest address of the data of a program that the thread runs; None if it does not."""
        index = self.code(debugger, number).data_base
        return None if index is None else debugger.global_value(tid, number, index)

    def place(self, debugger: Debugger, address: int) -> Place | None:
        """The place that LLDB calls by this address, None if it is in no module's code."""
        parts = split_address(address)
        info = self.info(debugger, parts[0]) if parts else None
        if parts is None or info is None:
            return None
        offset = parts[1] - info.code_base
        return Place(info.number, offset) if 0 <= offset <= info.code_size else None

    def address(self, debugger: Debugger, place: Place) -> int:
        """The other way round."""
        info = self.info(debugger, place.module)
        return module_address(place.module, place.offset + (info.code_base if info else 0))

    def read(self, debugger: Debugger, address: int, length: int) -> bytes:
        """Bytes of a module's file by their address; empty beyond its end."""
        parts = split_address(address)
        if parts is None:
            return b""
        data = self._file(self.info(debugger, parts[0]))
        return data[parts[1] : parts[1] + length]

    def file_size(self, debugger: Debugger, number: int) -> int:
        """Bytes of a module's file, 0 if there is none."""
        return len(self._file(self.info(debugger, number)))

    def library_list(self, debugger: Debugger) -> bytes:
        """Answer to qXfer:libraries:read. A name that is a path makes LLDB read that file."""
        entries = []
        for info in debugger.modules():
            view = self.view(info)
            name = str(view.path) if view else info.name
            entries.append(_library(name, info.number))
        host = self._host_file()
        if host is not None:
            entries.append(_library(str(host), HOST))
        return f"<library-list>{''.join(entries)}</library-list>".encode()

    def view(self, info: ModuleInfo) -> View | None:
        """What LLDB is to read; None if there is no file."""
        if info.number not in self._views:
            self._views[info.number] = self._make_view(info)
        return self._views[info.number]

    def inlined(self, debugger: Debugger, frame: Frame) -> int:
        """Number of inlined functions that a frame is in, as LLDB counts them."""
        number = frame.place.module
        if number not in self._indexes:
            info = self.info(debugger, number)
            self._indexes[number] = _index(info.path if info else None)
        index = self._indexes[number]
        if index is None:
            return 0
        return len(index.inlined_at(frame.place.offset - (frame.level > 0)))

    def _host_file(self) -> Path | None:
        path = self._directory() / "wdbg"
        try:
            if not path.is_file() or path.read_bytes() != host_module():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(host_module())
        except OSError as error:
            log.warning("%s: %s", path, error.strerror or error)
            return None
        return path

    def _directory(self) -> Path:
        return self._cache or cache_root() / "symbols" / "lldb"

    def _make_view(self, info: ModuleInfo) -> View | None:
        if info.path is None:
            return None
        try:
            return view_of(info.path.resolve(), info.number, self._directory())
        except WdbgError as error:
            log.warning("%s: LLDB has to do without its file: %s", info.name, error)
            return None

    def _file(self, info: ModuleInfo | None) -> bytes:
        """Contents of what LLDB reads, mapped: a kernel has 20 MB."""
        if info is None:
            return b""
        data = self._files.get(info.number)
        if data is None:
            view = self.view(info)
            data = self._files[info.number] = _mapped(view.path if view else None)
        return data


def _library(name: str, number: int) -> str:
    address = module_address(number)
    return f'<library name={quoteattr(name)}><section address="{address:#x}"/></library>'


def _index(path: Path | None) -> Index | None:
    try:
        return Index.open(path) if path is not None else None
    except (SymbolsError, OSError) as error:
        log.warning("%s has no index: %s", path, error)
        return None


def _mapped(path: Path | None) -> bytes:
    if path is None:
        return b""
    try:
        with path.open("rb") as file:
            return cast(bytes, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError):  # ValueError: an empty file
        return b""
