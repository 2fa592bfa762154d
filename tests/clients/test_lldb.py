"""Debian's LLDB on the real guest: what a kernel developer does first, and what LLDB 22 gets wrong
by itself."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.live import CROWD, LiveGuest, live_guest
from tests.clients.lldb import DEADLINE, Client, Transcript, run
from wdbg.runtime.guest import Guest
from wdbg.runtime.sources import source_map

pytestmark = pytest.mark.guest

FORKS = "for i in 1 2 3 4 5 6 7 8 9; do cat /proc/uptime; done"
SLEEPS = "cat /proc/uptime; while :; do sleep 1; done"
OPENS_UPTIME = "breakpoint set -n do_sys_openat2 -c 'filename[6] == 117'"


class Attached:
    """A guest and LLDBs on it, one after another."""

    def __init__(self, guest: LiveGuest, folder: Path) -> None:
        self.guest = guest
        self._folder = folder

    def __call__(self, *commands: str) -> Transcript:
        return run(self.guest.ports["lldb"], commands, self._folder)


@pytest.fixture(name="waiting")
def waiting_fixture(guest: Guest, tmp_path: Path) -> Iterator[Attached]:
    """A guest that stands before all else, and will `cat` a few times."""
    with live_guest(tmp_path, "--lldb", "0", "--wait", "--exec", FORKS) as found:
        yield Attached(found, tmp_path)


@pytest.fixture(name="crowded")
def crowded_fixture(guest: Guest, tmp_path: Path) -> Iterator[Attached]:
    """The same with more than 50 tasks by then."""
    with live_guest(tmp_path, "--lldb", "0", "--wait", "--exec", CROWD) as found:
        yield Attached(found, tmp_path)


@pytest.fixture(name="endless")
def endless_fixture(guest: Guest, tmp_path: Path) -> Iterator[Attached]:
    """The same, which will then sleep again and again."""
    with live_guest(tmp_path, "--lldb", "0", "--wait", "--exec", SLEEPS) as found:
        yield Attached(found, tmp_path)


def functions(stack: str) -> list[str]:
    """Names of the functions in a backtrace, innermost first."""
    return re.findall(r"frame #\d+: 0x\w+ \w+(?:\.wasm)?`(\w+)", stack)


def test_from_the_first_instruction_to_user_code(waiting: Attached) -> None:
    """The file name that cat opens, and how it got there."""
    seen = waiting("bt", OPENS_UPTIME, "continue", "p filename", "bt", "process kill")
    assert functions(seen["bt"]) == ["_start"]
    assert re.search(r"name = 'cat/\d+', stop reason = breakpoint 1.1", seen["continue"])
    assert seen["p filename"].rstrip().endswith('"/proc/uptime"')
    names = functions(seen.all("bt")[1])
    assert names[0] == "do_sys_openat2"
    inner = ["do_sys_open", "sys_openat", "do_syscall", "open", "cat_main", "run_applet", "main"]
    assert [name for name in names if name in inner] == inner
    assert "cat_main(argc=2, argv=0x" in seen.all("bt")[1]
    assert 'run_applet(name="cat", argc=2' in seen.all("bt")[1]


def test_next_over_ten_lines_and_finish(waiting: Attached) -> None:
    seen = waiting(
        "breakpoint set -n kernel_clone",
        "continue",
        "continue",
        "breakpoint delete 1",
        *["next"] * 10,
        "frame variable",
        "step",
        "step",
        "finish",
        "process kill",
    )
    stops = [re.search(r"`kernel_clone\(.*\) at fork.c:(\d+)", text) for text in seen.all("next")]
    assert all(stops), "it went into a call"
    lines = [int(stop[1]) for stop in stops if stop]
    assert len(set(lines)) == 10
    assert lines == sorted(lines)
    assert re.search(r"^\(pid_t\) nr = \d+$", seen["frame variable"], re.MULTILINE)
    assert re.search(r"trace = <.* not available>", seen["frame variable"])
    assert "`wake_up_new_task(p=0x" in "".join(seen.all("step"))
    assert "stop reason = step out" in seen["finish"]
    assert "`kernel_clone(" in seen["finish"]


def test_pending_breakpoint_in_a_program(waiting: Attached) -> None:
    seen = waiting(
        "breakpoint set -n cat_main", "continue", "bt", "frame variable", "next", "process kill"
    )
    assert "pending" in seen["breakpoint set -n cat_main"]
    assert re.search(r"name = 'cat/\d+', stop reason = breakpoint 1.1", seen["continue"])
    assert "1 location added" not in seen["bt"]
    assert functions(seen["bt"])[:3] == ["cat_main", "run_applet", "main"]
    assert "(int) argc = 2" in seen["frame variable"]
    assert "stop reason = step over" in seen["next"]


def test_watchpoints(endless: Attached) -> None:
    seen = endless(
        "breakpoint set -n cat_main",
        "continue",
        "breakpoint delete 1",
        "watchpoint set variable jiffies_64",
        "p jiffies_64",
        "continue",
        "p jiffies_64",
        "bt",
        "watchpoint delete 1",
        "watchpoint set variable init_task.nivcsw",
        "continue",
        "bt",
        "process kill",
    )
    first, second = seen.all("continue")[1:]
    assert "stop reason = watchpoint 1" in first
    assert functions(seen["bt"])[0] == "do_timer"
    before, after = (int(text.split()[-1]) for text in seen.all("p jiffies_64"))
    assert after == before + 1
    assert "stop reason = watchpoint 2" in second
    assert "__schedule" in functions(seen.all("bt")[1])[:3]


def test_interrupt_detach_and_attach_again(endless: Attached) -> None:
    first = endless("breakpoint set -n cat_main", "continue", "detach")
    assert "stop reason = breakpoint" in first["continue"]
    second = endless("bt", "&continue", "!interrupt", "bt", "detach")
    for stack in second.all("bt"):
        assert " at " in stack.splitlines()[1], "an interrupt stops in source"
    assert "stop reason = signal SIGINT" in second["!interrupt"]
    third = endless("thread list", "process kill")
    assert third["thread list"].count("thread #") > 45


def test_tasks_and_their_stacks(crowded: Attached) -> None:
    opens = "breakpoint set -n do_sys_openat2 -c 'filename[1] == 112'"  # the p of /proc
    seen = crowded(opens, "continue", "thread list", "thread backtrace all", "process kill")
    threads = [line for line in seen["thread list"].splitlines() if "thread #" in line]
    assert len(threads) >= 50
    assert sum("stop reason" in line for line in threads) == 1
    names = re.findall(r"name = '([^']*)'", seen["thread list"])
    assert {"swapper/0/0", "swapper/3/0", "init/1", "kthreadd/2"} <= set(names)
    stacks = seen["thread backtrace all"]
    assert stacks.count("frame #0: ") == len(threads)
    assert stacks.count("`kthread(") > 25
    assert stacks.count("`context_switch(") > 25


def test_values_are_those_in_memory(waiting: Attached) -> None:
    """What LLDB makes of the DWARF and our registers, against bytes at addresses."""
    seen = waiting(
        OPENS_UPTIME,
        "continue",
        "p &jiffies_64",
        "p jiffies_64",
        "p (long)&init_task.comm",
        "target variable init_task.comm init_task.pid",
        "frame variable -L op",
        "p (long)filename",
        "memory read -s 1 -c 13 -f c filename",
        "expr jiffies_64 = 0x123456789",
        "memory read -s 8 -c 1 -f x &jiffies_64",
        "expr dfd = 5",
        "p dfd",
        "process kill",
    )
    assert '"swapper/0"' in seen["target variable init_task.comm init_task.pid"]
    assert "init_task.pid = 0" in seen["target variable init_task.comm init_task.pid"]
    assert "/proc/uptime" in seen["memory read -s 1 -c 13 -f c filename"]
    assert "0x0000000123456789" in seen["memory read -s 8 -c 1 -f x &jiffies_64"]
    assert seen["p dfd"].split()[-1] == "5"


def test_variables_in_every_frame(waiting: Attached) -> None:
    """All of them are values or said to be unavailable, and those of callers are their own."""
    selects = [f"frame select {n}" for n in range(15)]
    commands = [word for select in selects for word in (select, "frame variable")]
    seen = waiting(OPENS_UPTIME, "continue", *commands, "process kill")
    texts = seen.all("frame variable")
    assert len(texts) == 15
    assert not any("no register context" in text for text in texts)
    for select, text in zip(selects, texts, strict=True):
        name = functions(seen[select])[0]
        if name == "cat_main":
            assert "(int) argc = 2" in text
        if name == "run_applet":
            assert '"cat"' in text
        if name == "__do_sys_openat":
            assert "(int) dfd = -100" in text


def test_the_guest_ends(waiting: Attached) -> None:
    seen = waiting("continue")
    assert "exited with status = 0" in seen["continue"]
    assert waiting.guest.end() == 0


def test_monitor(waiting: Attached) -> None:
    seen = waiting("process plugin packet monitor help", "process kill")
    assert "tasks" in seen["process plugin packet monitor help"]


def test_gdb_and_lldb_at_once(guest: Guest, tmp_path: Path) -> None:
    """GDB lets the guest go on while LLDB has it standing; each stops at its own breakpoints."""
    command = "while :; do cat /proc/uptime; sleep 1; done"
    ports = ("--gdb", "0", "--lldb", "0")
    with live_guest(tmp_path, *ports, "--wait", "--exec", command) as both:
        client = Client(
            both.ports["lldb"],
            ["breakpoint set -n cat_main", "continue", "bt", "detach"],
            tmp_path,
        )
        try:
            seen = both.gdb("break do_sys_openat2", "continue", "continue", "bt 1", "detach")
            assert seen["bt 1"].startswith("#0  do_sys_openat2 (")
            client.process.wait(DEADLINE)
            other = client.transcript()
        finally:
            client.end()
    assert "stop reason = breakpoint 1.1" in other["continue"]
    assert functions(other["bt"])[:3] == ["cat_main", "run_applet", "main"]


def plain(line: str) -> str:
    """A line without what another build of the kernel changes, and as the page shows it."""
    line = re.sub(r"0x[0-9a-f]+", "0x", line.expandtabs(1).strip())
    line = re.sub(r"\bv?\d{4,}\b", "N", line)
    return re.sub(r"\s+", " ", line)


def test_the_session_in_the_documentation(guest: Guest, tmp_path: Path, tree: Path) -> None:
    text = (tree / "docs" / "lldb.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```\n(\(lldb\) .*?)^```", text, re.MULTILINE | re.DOTALL)
    parts = re.split(r"^\(lldb\) (.*)\n", block, flags=re.MULTILINE)[1:]
    commands, expected = parts[::2], parts[1::2]
    pairs = [str(word) for pair in source_map(guest.kernel).items() for word in pair]
    sources = f"settings set target.source-map {shlex.join(pairs)}"
    with live_guest(tmp_path, "--lldb", "0", "--wait", "--exec", SLEEPS) as found:
        seen = run(found.ports["lldb"], [sources, *commands, "process kill"], tmp_path)
    for (command, output, error), lines in zip(seen.parts[2:-1], expected, strict=True):
        said = [plain(line) for line in (output + error).splitlines()]
        for line in map(plain, lines.splitlines()):
            cut = line.removesuffix(" ...")
            beginning = line if cut == line else cut.rstrip("0123456789N")
            assert any(real.startswith(beginning) for real in said), (command, line, said)
