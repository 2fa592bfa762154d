"""The same facts of a dump as wdbg, drgn and GDB with the kernel's own commands read them."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from wdbg.cli.dumping import take
from wdbg.cli.main import main
from wdbg.dump.file import read_dump, write_dump
from wdbg.linux.dmesg import read_log
from wdbg.linux.slab import open_slabs
from wdbg.linux.tasks import walk_tasks
from wdbg.runtime.boot import BootOptions, boot
from wdbg.runtime.console import StreamConsole

CACHES = ("dentry", "filp", "pid", "task_struct", "kmalloc-64")
GUESTS = {
    "sysrq": "WDBG_EXEC=sleep%201%20%26%20echo%20c%20>%20/proc/sysrq-trigger",
    "trap": "bugs.case=bad_call",
    "overflow": "bugs.case=stack_overflow",
}

DRGN = """
import json
tasks = [[prog["init_task"].pid.value_(), prog["init_task"].comm.string_().decode()]]
tasks += [[t.pid.value_(), t.comm.string_().decode()] for t in for_each_task(prog)]
slabs = {name: [0, 0] for name in %r}
for page in for_each_page(prog):
    if PageSlab(page):
        slab = drgn.cast("struct slab *", page)
        counts = slabs.get(slab.slab_cache.name.string_().decode())
        if counts is not None:
            counts[0] += 1
            counts[1] += slab.objects.value_()
mounts = [mount_dst(m).decode() for m in for_each_mount(prog["init_task"].nsproxy.mnt_ns)]
print(json.dumps({
    "tasks": tasks,
    "dmesg": get_dmesg(prog).decode().splitlines(),
    "slabs": slabs,
    "mounts": mounts,
    "stack": prog["init_task"].stack.value_(),
    "jiffies": prog["jiffies"].value_(),
}))
"""


@pytest.fixture(scope="module", params=sorted(GUESTS), name="dump")
def dump_fixture(request, guest, tmp_path_factory):
    line = GUESTS[request.param]
    machine = boot(BootOptions(guest.kernel, guest.initrd, line, variant="debug"),
                   StreamConsole(None))  # fmt: skip
    assert machine.run().kind.value == "panic"
    path = tmp_path_factory.mktemp("readers") / "guest.dump"
    write_dump(path, take(machine))
    machine.close()
    return path


@pytest.fixture(name="by_drgn")
def by_drgn_fixture(dump, capsys):
    assert main(["drgn", str(dump), "-c", DRGN % (CACHES,)]) == 0
    return json.loads(capsys.readouterr().out)


def test_wdbg_drgn_and_gdb_agree(dump, by_drgn, tmp_path, capsys):
    snapshot = read_dump(dump)
    image = snapshot.image
    tasks = [[snapshot.facts[a].pid, snapshot.facts[a].comm] for a in walk_tasks(image)]
    assert tasks == by_drgn["tasks"]
    log = [line for text in read_log(image) for line in text.splitlines()]
    assert log == by_drgn["dmesg"]
    assert image.field(image.address("init_task"), "task_struct", "stack") == by_drgn["stack"]
    jiffies = image.number(image.address("jiffies_64"))
    assert jiffies == by_drgn["jiffies"]
    counts = {name: [0, 0] for name in CACHES}
    for slab in open_slabs(image).all():
        if slab.cache.name in counts:
            counts[slab.cache.name][0] += 1
            counts[slab.cache.name][1] += slab.objects
    assert counts == by_drgn["slabs"]

    core = tmp_path / "core"
    assert main(["dump", "export", str(dump), "--format", "elfcore", "-o", str(core)]) == 0
    script = core.with_name("core.gdb")
    assert capsys.readouterr().out.strip() == f"gdb -x {script}"
    commands = ["lx-ps", "lx-dmesg", "lx-mounts", "print/x init_task.stack"]
    commands += ["thread apply all bt 3"]
    done = subprocess.run(
        ["gdb", "-nx", "-batch", "-iex", "set pagination off", "-x", str(script)]
        + [word for command in commands for word in ("-ex", command)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    by_gdb = done.stdout
    shown = re.findall(r"^0x[0-9a-f]+\s+(\d+)\s+(\S.*)$", by_gdb, re.M)
    assert [[int(pid), comm.strip()] for pid, comm in shown] == tasks
    for line in log[:20] + log[-20:]:
        assert line.partition("] ")[2] in by_gdb  # lx-dmesg rounds the times
    assert f"{by_drgn['stack']:#x}" in by_gdb
    for mount in by_drgn["mounts"]:
        assert re.search(rf"^\S+ \S+ \S+ {re.escape(mount)} ", by_gdb, re.M) or mount in by_gdb
    stacks = [task for task in snapshot.tasks.values() if task.frames]
    assert by_gdb.count("\n#0 ") >= len(stacks)
    assert "SIGABRT" in by_gdb


def test_drgn_has_frames_with_variables(dump, capsys):
    code = "print([str(f) for f in frames(2)]); print(frames(2)[0]['prev'].comm.string_())"
    assert main(["drgn", str(dump), "-c", code]) == 0
    out = capsys.readouterr().out
    assert "__switch_to" in out
    assert "b'kthreadd'" in out
