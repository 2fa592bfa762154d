"""A gdbserver that can do nothing but show memory and registers, for tests of what GDB makes of
the shadow ELF without a stub: one process that serves one client, then ends."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Mapping

Reader = Callable[[int, int], bytes]
"""(address, length) -> the bytes that exist, b"" for none."""

REGISTERS = ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eip", "eflags")


class MemoryServer:
    """Answers on `port` of 127.0.0.1. Threads: registers by thread id."""

    def __init__(self, read: Reader, threads: Mapping[int, Mapping[str, int]]) -> None:
        self._read = read
        self._threads = threads
        self._current = next(iter(threads))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def serve(self) -> None:
        """Until the client has gone."""
        self._listener.settimeout(60)
        with contextlib.suppress(OSError):
            connection, _ = self._listener.accept()
            with connection, connection.makefile("rb") as stream:
                self._session(connection, stream)

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()

    def _session(self, connection, stream) -> None:
        while byte := stream.read(1):
            if byte != b"$":
                continue
            packet = bytearray()
            while (byte := stream.read(1)) not in (b"#", b""):
                packet += byte
            stream.read(2)
            answer = self._answer(packet.decode("latin1"))
            data = answer.encode("latin1")
            connection.sendall(b"+$" + data + b"#%02x" % (sum(data) & 255))
            if packet[:1] in (b"D", b"k"):
                return

    def _answer(self, packet: str) -> str:
        if packet.startswith("qSupported"):
            return "PacketSize=4000;swbreak+"
        if packet == "?":
            return f"T05thread:{self._current:x};"
        if packet == "qfThreadInfo":
            return "m" + ",".join(f"{tid:x}" for tid in self._threads)
        if packet == "qsThreadInfo":
            return "l"
        if packet == "qC":
            return f"QC{self._current:x}"
        if packet == "qAttached":
            return "1"
        if packet[0] == "H":
            if packet[1] == "g" and int(packet[2:], 16) in self._threads:
                self._current = int(packet[2:], 16)
            return "OK"
        if packet[0] in "TD" or packet[:2] in ("Z0", "z0"):
            return "OK"
        if packet[0] == "g":
            registers = self._threads[self._current]
            raw = b"".join(registers.get(n, 0).to_bytes(4, "little") for n in REGISTERS)
            return (raw + bytes(308 - len(raw))).hex()
        if packet[0] == "m":
            address, length = (int(x, 16) for x in packet[1:].split(","))
            return self._read(address, length).hex() or "E14"
        return ""


@contextlib.contextmanager
def serving(read: Reader, threads: Mapping[int, Mapping[str, int]]) -> Iterator[int]:
    """The port of a server that runs as long as the block."""
    server = MemoryServer(read, threads)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server.port
    finally:
        server.close()
        thread.join(10)
