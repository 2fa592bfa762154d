"""User programs: rewritten and compiled when they are executed, once for each content."""

from __future__ import annotations

import hashlib
from pathlib import Path

from symbols.errors import SymbolsError
from wdbg.instrument.cache import Cache
from wdbg.instrument.variant import Variant
from wdbg.runtime.code import CompiledCode, store_code
from wdbg.runtime.engine import ENGINE_CONFIG, Engine, EngineError, Module
from wdbg.runtime.probes import ProbedModule


class BadProgram(Exception):
    """The bytes that the guest wants to execute are no module that can run here."""


class Program:
    """A user program's code, shared by all tasks that run it."""

    def __init__(
        self, module: Module, code: CompiledCode, label: str, debug_file: Path | None = None
    ) -> None:
        self.module = module
        self.code = code
        self.label = label
        """Name in backtraces."""
        self.debug_file = debug_file
        """The same program with its DWARF, if the host has it."""
        self.probed: ProbedModule | None = None
        """Its stop points, in variants that have them."""
        self.imports = module.imports()


class Programs:
    """Programs by content; compiled ones are kept on disk (`cache`) and in memory."""

    def __init__(
        self, engine: Engine, variant: Variant, cache: Cache, debug_directory: Path | None = None
    ) -> None:
        """`debug_directory` is where programs lie with their DWARF."""
        self._engine = engine
        self._variant = variant
        self._cache = cache
        self._debug_directory = debug_directory
        self._by_digest: dict[bytes, Program] = {}

    def load(self, wasm: bytes) -> Program:
        """The program for these bytes; `BadProgram` says why there is none."""
        digest = hashlib.sha256(wasm).digest()
        known = self._by_digest.get(digest)
        if known is not None:
            return known
        debug_file = None
        if self._variant.probes and self._debug_directory is not None:
            from wdbg.runtime.debugfiles import find_debug_file

            debug_file = find_debug_file(self._debug_directory, wasm)
            if debug_file is not None:
                wasm = debug_file.read_bytes()
        key = self._cache.key(wasm, self._variant, None, ENGINE_CONFIG)

        def make(directory: Path) -> None:
            # Only here: importing the rewriter takes longer than booting.
            from wdbg.instrument.rewrite import instrument_program

            done = instrument_program(wasm, self._variant)
            store_code(directory, self._engine.compile(done.wasm), done)

        try:
            path = self._cache.get_or_make(key, make)
            code = CompiledCode(path)
            label = f"program {digest.hex()[:6]}"  # the guest can read it: no part of a variant
            program = Program(self._engine.load(code.machine_code), code, label, debug_file)
        except (SymbolsError, EngineError) as error:
            raise BadProgram(str(error)) from None
        self._by_digest[digest] = program
        return program
