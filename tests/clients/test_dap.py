"""lldb-dap on the real guest, set up as docs/vscode.md says: what VS Code does."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.dap import Adapter, Message
from tests.clients.live import LiveGuest, live_guest
from wdbg.runtime.guest import Guest
from wdbg.runtime.sources import source_map

pytestmark = pytest.mark.guest

COMMAND = "cat /proc/uptime; while :; do sleep 1; done"


@pytest.fixture(name="waiting")
def waiting_fixture(guest: Guest, tmp_path: Path) -> Iterator[LiveGuest]:
    """A guest that stands before all else, and will `cat`."""
    with live_guest(tmp_path, "--lldb", "0", "--wait", "--exec", COMMAND) as found:
        yield found


@pytest.fixture(name="documented")
def documented_fixture(tree: Path) -> dict[str, Any]:
    """The configuration in docs/vscode.md."""
    text = (tree / "docs" / "vscode.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```json\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (configuration,) = json.loads(block)["configurations"]
    return dict(configuration)


@pytest.fixture(name="adapter")
def adapter_fixture(tmp_path: Path) -> Iterator[Adapter]:
    adapter = Adapter(tmp_path / "dap.log")
    yield adapter
    adapter.end()


def attach(adapter: Adapter, configuration: dict[str, Any], port: int, kernel: Path) -> int:
    """Up to where an editor sends breakpoints; the number of the attach request."""
    assert configuration["request"] == "attach"
    (command,) = configuration["attachCommands"]
    prefixes = [prefix for prefix, _ in configuration["sourceMap"]]
    sources = source_map(kernel)
    arguments = configuration | {
        "attachCommands": [command.replace(":1234", f":{port}")],
        "sourceMap": [[prefix, str(sources[prefix])] for prefix in prefixes],
    }
    assert f":{port}" in arguments["attachCommands"][0]
    adapter.ask("initialize", adapterID="lldb-dap", pathFormat="path", linesStartAt1=True)
    number = adapter.post("attach", **arguments)
    adapter.event("initialized", 0)
    return number


def line_of(path: Path, text: str) -> int:
    """Number of the first line that contains `text`."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def names(frames: list[Message]) -> list[str]:
    return [frame["name"].removesuffix(" [inlined]") for frame in frames]


def test_what_an_editor_does(
    adapter: Adapter, documented: dict[str, Any], waiting: LiveGuest, guest: Guest
) -> None:
    assert documented["debugAdapterExecutable"].endswith("lldb-dap-22")
    sources = source_map(guest.kernel)
    open_c = sources["/usr/src/linux-6.12-wdbg"] / "fs" / "open.c"
    cat_c = sources["."] / "user" / "box" / "cat.c"
    attaching = attach(adapter, documented, waiting.ports["lldb"], guest.kernel)

    line = line_of(open_c, "fd = build_open_flags(how, &op)")
    (point,) = adapter.ask(
        "setBreakpoints",
        source={"path": str(open_c)},
        breakpoints=[{"line": line, "condition": "filename[6] == 117"}],
    )["breakpoints"]
    assert point["verified"]
    (pending,) = adapter.ask("setFunctionBreakpoints", breakpoints=[{"name": "cat_main"}])[
        "breakpoints"
    ]
    assert not pending["verified"], "the program is not loaded yet"
    adapter.ask("configurationDone")
    adapter.answer(attaching)
    stopped = adapter.event("stopped", 0)

    (row,) = adapter.ask("threads")["threads"]
    assert row["name"] == "swapper/0/0"

    # The program's breakpoint has become one when the program was loaded.
    stopped = adapter.resume("continue", threadId=stopped["threadId"])
    task = stopped["threadId"]
    assert "breakpoint" in stopped["reason"]
    frame = adapter.stack(task)[0]
    assert frame["name"] == "cat_main"
    assert frame["source"]["path"] == str(cat_c)
    assert adapter.locals(frame["id"])["argc"] == "2"

    stopped = adapter.resume("continue", threadId=task)
    assert stopped["threadId"] == task
    assert stopped["reason"] == "breakpoint"
    threads = {row["id"]: row["name"] for row in adapter.ask("threads")["threads"]}
    assert len(threads) > 45
    assert any("kthreadd" in name for name in threads.values())
    assert "cat/" in threads[task]
    frames = adapter.stack(task)
    assert frames[0]["source"]["path"] == str(open_c)
    assert frames[0]["line"] == line
    found = names(frames)
    inner = ["do_sys_openat2", "sys_openat", "do_syscall", "open", "cat_main", "main"]
    assert [name for name in found if name in inner] == inner
    variables = adapter.locals(frames[0]["id"])
    assert variables["dfd"] == "-100"
    assert "/proc/uptime" in variables["filename"]
    outer = next(frame for frame in frames if frame["name"] == "cat_main")
    assert adapter.locals(outer["id"])["argc"] == "2"

    stopped = adapter.resume("next", threadId=task)
    assert (stopped["threadId"], stopped["reason"]) == (task, "step")
    frame = adapter.stack(task)[0]
    assert frame["name"] == "do_sys_openat2"
    assert frame["line"] > line
    stopped = adapter.resume("stepOut", threadId=task)
    assert "sys_open" in adapter.stack(task)[0]["name"]

    adapter.ask("setFunctionBreakpoints", breakpoints=[])
    since = len(adapter.seen)
    adapter.ask("continue", threadId=task)
    adapter.event("continued", since)  # before that lldb-dap takes the guest for stopped
    stopped = adapter.resume("pause", threadId=task)
    assert stopped["threadId"]
    top = adapter.stack(stopped["threadId"])[0]
    assert top["source"]["path"]
    assert len(adapter.seen) > since
    adapter.ask("disconnect", terminateDebuggee=False)


def test_attach_again(
    documented: dict[str, Any], waiting: LiveGuest, guest: Guest, tmp_path: Path
) -> None:
    for number in range(2):
        adapter = Adapter(tmp_path / f"dap-{number}.log")
        try:
            attaching = attach(adapter, documented, waiting.ports["lldb"], guest.kernel)
            adapter.ask("configurationDone")
            adapter.answer(attaching)
            stopped = adapter.event("stopped", 0)
            assert adapter.stack(stopped["threadId"])
            adapter.ask("disconnect", terminateDebuggee=False)
        finally:
            adapter.end()
