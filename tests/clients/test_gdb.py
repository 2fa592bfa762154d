"""Debian's GDB on the real guest: what a kernel developer does first, and what used to go wrong."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.live import CROWD, LiveGuest, live_guest
from tests.clients.test_bad_peers import Raw
from wdbg.gdbstub.rsp import frame
from wdbg.runtime.guest import Guest

pytestmark = pytest.mark.guest

FORKS = "for i in 1 2 3 4 5 6 7 8 9; do cat /proc/uptime; sleep 0.1; done"


@pytest.fixture(name="waiting")
def waiting_fixture(guest: Guest, tmp_path: Path) -> Iterator[LiveGuest]:
    """A guest before its first instruction, which will `cat` a few times."""
    with live_guest(tmp_path, "--gdb", "0", "--wait", "--exec", FORKS) as found:
        yield found


@pytest.fixture(name="crowded")
def crowded_fixture(guest: Guest, tmp_path: Path) -> Iterator[LiveGuest]:
    """The same with more than 50 tasks by then."""
    with live_guest(tmp_path, "--gdb", "0", "--wait", "--exec", CROWD) as found:
        yield found


def test_from_the_first_instruction_to_user_code(waiting: LiveGuest) -> None:
    """The file name that cat opens, and how it got there."""
    seen = waiting.gdb(
        "bt",
        'break do_sys_openat2 if $_streq(filename, "/proc/uptime")',
        "continue",
        "p filename",
        "bt",
        "info threads",
        "up",
        "kill",
    )
    assert seen["bt"].startswith("#0  _start ()")
    assert "hit Breakpoint 1, do_sys_openat2 (dfd=-100, filename=0x" in seen["continue"]
    assert '"cat"' in seen["continue"]
    assert seen["p filename"].endswith('"/proc/uptime"\n')
    stack = seen.all("bt")[1]
    names = re.findall(r"^#\d+ +(?:0x\w+ in )?(\w+) \(", stack, re.MULTILINE)
    assert names[0] == "do_sys_openat2"
    inner = ["do_sys_open", "sys_openat", "do_syscall", "open", "cat_main", "run_applet", "main"]
    assert [name for name in names if name in inner] == inner, stack
    assert re.search(r'^\* \d+ +Thread \d+ "cat" \(pid \d+, on CPU \d, running\)',
                     seen["info threads"], re.MULTILINE)  # fmt: skip
    assert '"swapper/0" (idle task of CPU 0)' in seen["info threads"]


def test_next_over_ten_lines_and_finish(waiting: LiveGuest) -> None:
    seen = waiting.gdb(
        "break kernel_clone",
        "continue",
        "continue",
        "delete",
        *["next"] * 10,
        "info locals",
        "finish",
        "bt",
        "kill",
    )
    lines = [int(text.split()[0]) for text in seen.all("next")]
    assert len(set(lines)) == 10
    assert lines == sorted(lines), "kernel_clone is straight down to there"
    assert re.search(r"^nr = \d+$", seen["info locals"], re.MULTILINE)
    assert re.search(r"^trace = <optimized out>$", seen["info locals"], re.MULTILINE)
    assert re.search(r"Value returned is \$1 = \d+", seen["finish"])
    assert seen["bt"].startswith("#0  ")
    assert "kernel_clone" not in seen["bt"]


def test_step_enters_and_until_advances(waiting: LiveGuest) -> None:
    seen = waiting.gdb(
        "break do_sys_open",
        "continue",
        "delete",
        "step",
        "step",
        "advance getname",
        "bt 3",
        "finish",
        "kill",
    )
    assert "build_open_how (flags=" in seen["step"], "an inlined function"
    assert "getname" in seen["advance getname"]
    assert "in do_sys_openat2 (" in seen["bt 3"]
    assert re.search(r"Value returned is \$1 = \(struct filename \*\) 0x", seen["finish"])


def test_pending_breakpoint_in_a_program(waiting: LiveGuest) -> None:
    seen = waiting.gdb(
        "set breakpoint pending on",
        "break cat_main",
        "continue",
        "bt",
        "info locals",
        "next",
        "next",
        "info sharedlibrary",
        "kill",
    )
    assert "Breakpoint 1 (cat_main) pending." in seen["break cat_main"]
    assert re.search(r'"cat" hit Breakpoint 1, (?:0x\w+ in )?cat_main \(argc=', seen["continue"])
    assert "main (argc=" in seen["bt"]
    assert re.search(r"0xd0000000 .*Yes .*/box$", seen["info sharedlibrary"], re.MULTILINE)
    assert all(re.search(r"^\d+\s", text, re.MULTILINE) for text in seen.all("next"))


def test_tasks_and_their_stacks(crowded: LiveGuest) -> None:
    seen = crowded.gdb(
        'break do_sys_openat2 if $_streq(filename, "/proc/uptime")',
        "continue",
        "info threads",
        "thread apply all bt",
        "thread find cat",
        "monitor tasks",
        "monitor cpus",
        "kill",
    )
    count = len(re.findall(r"^[* ] \d+ +Thread", seen["info threads"], re.MULTILINE))
    assert count >= 50
    stacks = seen["thread apply all bt"]
    assert len(re.findall(r"^Thread \d+ \(", stacks, re.MULTILINE)) == count
    assert stacks.count(" kthread (") > 25
    assert stacks.count("in __host__ ()") > 30
    assert stacks.count("Cannot access memory at address 0xe") < 20
    assert "kthreadd" in seen["monitor tasks"]
    assert "CPU 3" in seen["monitor cpus"]


def test_values_are_those_in_memory(waiting: LiveGuest) -> None:
    """What GDB makes of DWARF and our addresses, against bytes read at symbols' addresses and
    against what the kernel itself says."""
    seen = waiting.gdb(
        'break do_sys_openat2 if $_streq(filename, "/proc/uptime")',
        "continue",
        "delete",
        "break vfs_read",
        "continue",
        "p file->f_path.dentry->d_iname",
        "p sizeof(struct task_struct)",
        "p/d init_task.pid",
        "p init_task.comm",
        "x/s init_task.comm",
        "p/x jiffies_64",
        "x/1xg &jiffies_64",
        "p init_task.tasks.next->prev == &init_task.tasks",
        "p linux_banner",
        "info symbol init_task",
        "p *file->f_op",
        "ptype struct list_head",
        "p $_as_string(file->f_mode)",
        "whatis file",
        "kill",
    )
    assert seen["p file->f_path.dentry->d_iname"].startswith('$1 = "uptime"')
    assert seen["p init_task.comm"].startswith('$4 = "swapper/0\\000')
    assert '"swapper/0"' in seen["x/s init_task.comm"]
    jiffies = seen["p/x jiffies_64"].split()[-1]
    assert int(seen["x/1xg &jiffies_64"].split()[-1], 16) == int(jiffies, 16)
    assert seen["p init_task.tasks.next->prev == &init_task.tasks"] == "$6 = 1\n"
    assert "Linux version 6.12" in seen["p linux_banner"]
    assert "<proc_reg_" in seen["p *file->f_op"], "a pointer in the table has a name"
    assert seen["whatis file"] == "type = struct file *\n"


@pytest.mark.usefixtures("variants")
def test_writing(waiting: LiveGuest) -> None:
    """The guest goes on with what was written: cat reads another file."""
    seen = waiting.gdb(
        'break do_sys_openat2 if $_streq(filename, "/proc/uptime")',
        "continue",
        'set var *(char (*)[14])filename = "/proc/version"',
        "p filename",
        "delete",
        "break vfs_read",
        "continue",
        "set var count = 7",
        "p count",
        "delete",
        "continue",
    )
    assert seen["p filename"].endswith('"/proc/version"\n')
    assert re.match(r"\$\d+ = 7$", seen["p count"].strip())
    assert "exited" in seen.all("continue")[2]
    waiting.end()
    assert b"Linux v" in waiting.said


def test_conditions_commands_and_temporary_ones(waiting: LiveGuest) -> None:
    seen = waiting.gdb(
        "tbreak kernel_clone",
        "break do_sys_openat2 if how->flags == 0x8000 && filename[1] == 'p'",
        "source " + str(_commands(waiting)),
        "continue",
        "continue",
        "info breakpoints",
        "kill",
    )
    assert "Temporary breakpoint 1, kernel_clone" in seen["continue"]
    assert re.search(r"opened 0x\w+ .*/proc", seen.all("continue")[1])
    assert "already hit" in seen["info breakpoints"]


def _commands(guest: LiveGuest) -> Path:
    script = guest.place / "commands.gdb"
    script.write_text('commands 2\nsilent\nprintf "opened %p %s\\n", filename, filename\nend\n')
    return script


def test_thousands_of_breakpoints(waiting: LiveGuest) -> None:
    """On the first row of every function of fs/, all at once."""
    script = waiting.place / "many.gdb"
    script.write_text(
        "python\n"
        "import re\n"
        "text = gdb.execute('info functions -n ^[a-s]', to_string=True)\n"
        "names = sorted(set(re.findall(r'(\\w+)\\([^;]*\\);', text)))[:3000]\n"
        "gdb.execute('set breakpoint pending off')\n"
        "made = 0\n"
        "for name in names:\n"
        "    address = gdb.lookup_global_symbol(name) or gdb.lookup_static_symbol(name)\n"
        "    if address is None or not address.is_function: continue\n"
        "    try: gdb.Breakpoint('*%d' % int(address.value().address)); made += 1\n"
        "    except gdb.error: pass\n"
        "print('made', made)\n"
        "end\n"
    )
    seen = waiting.gdb(f"source {script}", "continue", "bt 1", "continue", "delete", "kill")
    made = re.search(r"^made (\d+)$", seen[f"source {script}"], re.MULTILINE)
    assert made
    assert int(made[1]) > 2000
    for text in seen.all("continue"):
        assert re.search(r"Breakpoint \d+, ", text), text
    assert "Warning" not in seen.text


def test_scheduler_locking(waiting: LiveGuest) -> None:
    """The others stay where they are while one task steps."""
    seen = waiting.gdb(
        'break do_sys_openat2 if $_streq(filename, "/proc/uptime")',
        "continue",
        "set scheduler-locking on",
        "monitor cpus",
        *["stepi"] * 20,
        "monitor cpus",
        "thread",
        "set scheduler-locking off",
        "delete",
        "tbreak vfs_read",
        "continue",
        "kill",
    )
    before, after = (text.splitlines() for text in seen.all("monitor cpus"))
    changed = [cpu for cpu, other in zip(before, after, strict=True) if cpu != other]
    assert len(changed) <= 1, (before, after)
    assert all("cat" in line for line in changed)
    assert seen["thread"].startswith("[Current thread is ")
    assert len(set(seen.all("stepi"))) > 10
    assert "Temporary breakpoint 2, vfs_read" in seen.all("continue")[1]


def test_both_debuggers_at_once(guest: Guest, tmp_path: Path) -> None:
    """A stop is told to both; a question of one while the other runs the guest is answered."""
    with live_guest(tmp_path, "--gdb", "0", "--lldb", "0") as found:
        found.process.expect_exact("# ")
        gdb = found.terminal()
        other = Raw(found.ports["lldb"])
        assert other.ask(b"qHostInfo").startswith(b"triple:")
        gdb.sendline("continue")
        gdb.expect_exact("Continuing.")
        assert other.ask(b"qfThreadInfo").startswith(b"m")
        other.send(frame(b"vCont;c"))
        assert other.ask(b"qfThreadInfo").startswith(b"m"), "it has been heard"
        gdb.sendintr()
        gdb.expect(r"received signal SIGINT")
        gdb.expect_exact("(gdb) ")
        assert other.reply().startswith(b"T")
        assert other.ask(b"D") == b"OK"
        gdb.sendline("detach")
        gdb.expect_exact("detached")
        gdb.close(force=True)
        other.close()
        found.process.sendline("poweroff")
        assert found.end() == 0


def test_detach_and_attach_again(guest: Guest, tmp_path: Path) -> None:
    """The guest runs on without a debugger, and can be attached to at any time."""
    with live_guest(tmp_path, "--gdb", "0") as found:
        found.process.expect_exact("# ")
        first = found.gdb("info threads", "break kernel_clone", "detach")
        assert '"swapper/0"' in first["info threads"]
        found.process.sendline("echo one$((1 + 1))")
        found.process.expect_exact("one2")
        second = found.gdb("bt", "info threads", "detach")
        assert "Thread" in second["info threads"]
        found.process.sendline("poweroff")
        assert found.end() == 0


def test_interrupt_while_idle(guest: Guest, tmp_path: Path) -> None:
    with live_guest(tmp_path, "--gdb", "0") as found:
        found.process.expect_exact("# ")
        gdb = found.terminal()
        for _ in range(3):
            gdb.sendline("continue")
            gdb.expect_exact("Continuing.")
            gdb.sendintr()
            gdb.expect(r"received signal SIGINT, Interrupt\.")
            gdb.expect_exact("(gdb) ")
            gdb.sendline("bt")
            gdb.expect(r"#0 .* \(.*\) at \S+:\d+")
            gdb.expect_exact("(gdb) ")
        gdb.sendline("break do_sys_openat2")
        gdb.expect_exact("(gdb) ")
        gdb.sendline("continue")
        gdb.expect_exact("Continuing.")
        found.process.sendline("cat /proc/version")
        gdb.expect(r'hit Breakpoint 1, do_sys_openat2 .*"')
        gdb.expect_exact("(gdb) ")
        gdb.sendline("kill")
        gdb.expect_exact("killed")
        gdb.close(force=True)


@pytest.mark.usefixtures("variants")
def test_watchpoints(waiting: LiveGuest) -> None:
    seen = waiting.gdb(
        'break do_sys_openat2 if $_streq(filename, "/proc/uptime")',
        "continue",
        "delete 1",
        "watch jiffies_64",
        "continue",
        "bt 3",
        "delete 2",
        "watch -l init_task.nivcsw",
        "continue",
        "bt 2",
        "kill",
    )
    hit = re.search(r"Old value = (\d+)\nNew value = (\d+)", seen.all("continue")[1])
    assert hit
    assert int(hit[2]) == int(hit[1]) + 1
    assert "Hardware watchpoint 2: jiffies_64" in seen["watch jiffies_64"]
    switch = re.search(r"Old value = (\d+)\nNew value = (\d+)", seen.all("continue")[2])
    assert switch
    assert int(switch[2]) == int(switch[1]) + 1
    assert "__schedule" in seen["bt 2"]
