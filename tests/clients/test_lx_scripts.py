"""The kernel's own GDB scripts on the running guest: what docs/gdb-scripts.md says of each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.gdb import Transcript
from tests.clients.live import live_guest

pytestmark = [pytest.mark.guest, pytest.mark.slow]

COMMAND = "cat /proc/mounts > /tmp/list; cat /tmp/list"
READ_ONLY = (
    "lx-version", "lx-cmdline", "lx-ps", "lx-mounts", "lx-dmesg", "lx-cpus", "lx-timerlist",
    "lx-interruptlist", "lx-device-list-bus", "lx-device-list-class", "lx-iomem", "lx-ioports",
    "lx-clk-summary", "lx-genpd-summary", "lx-lsmod", "lx-list-check &init_task.tasks",
)  # fmt: skip
VALUES = (
    "p $lx_current().comm",
    "p $lx_current().pid",
    "p $lx_current(0).thread_info.cpu",
    "p $lx_current(1).thread_info.cpu",
    "p $lx_per_cpu(runqueues, 1).cpu",
    "p $lx_per_cpu(runqueues).cpu == $lx_current().thread_info.cpu",
    "p $lx_task_by_pid(1)->comm",
    "p $lx_thread_info(init_task.cred ? &init_task : 0).cpu",
    "p $lx_thread_info_by_pid(1).cpu < 2",
    'p $container_of(init_task.tasks.next, "struct task_struct", "tasks")->comm',
)
REFUSED = {
    "lx-configdump /dev/null": "Can't find config, enable CONFIG_IKCONFIG?",
    "lx-fdtdump": "Kernel not compiled with CONFIG_OF",
    "lx-slabinfo": "CONFIG_SLUB_DEBUG is not enabled",
    "lx-slabtrace --cache_name dentry": "CONFIG_SLUB_DEBUG is not enabled",
    "lx-vmallocinfo": "Requires MMU support",
    "lx-dump-page-owner": "CONFIG_PAGE_OWNER does not enable",
    "lx-virt_to_phys 0x1000": "Only support CONFIG_SPARSEMEM_VMEMMAP now",
    "lx-symbols": "No source file named kernel/module/main.c.",
}


@pytest.fixture(scope="module")
def transcript(guest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Transcript]:
    """One session: stopped in an open() of `cat`, all commands."""
    place = tmp_path_factory.mktemp("lx")
    with live_guest(place, "--gdb", "0", "--wait", "--cpus", "2", "--exec", COMMAND) as live:
        assert live.elf is not None
        yield live.gdb(
            f"source {live.elf}.gdb",
            'break do_sys_openat2 if $_streq($lx_current().comm, "cat")',
            "continue",
            "info threads",
            *READ_ONLY,
            *VALUES,
            *REFUSED,
            "p init_task.comm",
            "kill",
        )


def test_they_load_before_anything_runs(transcript: Transcript):
    assert "Error" not in transcript.parts[1][1]


def test_no_read_only_command_fails(transcript: Transcript):
    for command in READ_ONLY:
        assert "Python Exception" not in transcript[command], command
        assert "Error" not in transcript[command], command


def test_what_the_kernel_says_of_itself(transcript: Transcript):
    assert re.match(r"Linux version 6\.12\.\d+-wdbg \(wdbg@wdbg\) ", transcript["lx-version"])
    assert "WDBG_EXEC=cat%20" in transcript["lx-cmdline"]
    assert re.search(r"^\[ +0\.0\d+\] Linux version ", transcript["lx-dmesg"], re.M)
    assert "Run /init as init process" in transcript["lx-dmesg"]
    assert "Online CPUs   : [0, 1]" in transcript["lx-cpus"]
    assert re.search(r"proc /proc proc rw\S* 0 0$", transcript["lx-mounts"], re.M)
    assert re.search(r"get_time: +0x\w+ <ktime_get\[tbl\]>", transcript["lx-timerlist"])
    assert re.search(r"^jiffies: \d+$", transcript["lx-timerlist"], re.M)
    assert re.search(
        r"^ +1: +\d+ +\d+ +wasm +-percpu +timer$", transcript["lx-interruptlist"], re.M
    )
    assert "dev cpu1:" in transcript["lx-device-list-bus"]
    assert "dev hvc0:" in transcript["lx-device-list-class"]
    assert "list is consistent" in transcript["lx-list-check &init_task.tasks"]


def test_tasks_are_gdbs_threads(transcript: Transcript):
    """But for the idle tasks, of which the kernel's list has the first one only."""
    listed = {
        int(pid): name
        for pid, name in re.findall(r"^0x\w+ +(\d+) +(.*)$", transcript["lx-ps"], re.M)
    }
    threads = {
        int(pid): name
        for pid, name in re.findall(r"Thread (\d+) \"(.*?)\" \(pid", transcript["info threads"])
    }
    assert listed.pop(0) == "swapper/0"
    assert listed == threads
    assert "cat" in threads.values()


def test_convenience_functions(transcript: Transcript):
    values = [re.sub(r"^\$\d+ = ", "", transcript[command].strip()) for command in VALUES]
    selected = re.search(r"^\* \d+ +Thread (\d+) \"cat\"", transcript["info threads"], re.M)
    assert selected
    assert [*values[1:6], *values[7:9]] == [selected[1], "0", "1", "1", "1", "0", "1"]
    assert values[0].startswith('"cat"')
    assert values[6].startswith('"init"') or values[6].startswith('"sh"')
    assert values[9] == values[6]


def test_those_that_this_kernel_has_nothing_for_say_so(transcript: Transcript):
    for command, reason in REFUSED.items():
        assert reason in transcript[command], command
    assert "swapper/0" in transcript["p init_task.comm"], "lx-symbols loads them again"


def test_the_script_of_ours_is_where_the_line_says(guest_kernel: Path):
    """What `wdbg run` prints at its start includes the script."""
    from wdbg.gdbstub.symbolfiles import gdb_files

    files = gdb_files(guest_kernel)
    text = files.script.read_text()
    assert files.script == files.elf.with_name(files.elf.name + ".gdb")
    assert "vmlinux-gdb.py" in text
    assert "wdbg_gdb.py" in text
    assert "set substitute-path /usr/src/linux-6.12-wdbg " in text
