"""`python -m bench.explore_run JOBS SCHEDULES`: boot once, run so many schedules of a small
workload; prints schedules a second, without the boot."""

import sys

from wdbg.explore.schedules import Workload
from wdbg.explore.search import Search, survey
from wdbg.explore.start import default_start, go_to_start
from wdbg.explore.trial import Limits, Trials
from wdbg.runtime.boot import BootOptions, boot
from wdbg.runtime.console import StreamConsole
from wdbg.runtime.guest import default_guest

CASE = "bugs.case=abba_ok"
NEVER = 1 << 62


def main() -> int:
    """Measure; 1 if the workload does not begin."""
    jobs, count = (int(word) for word in sys.argv[1:])
    guest = default_guest()
    start, over = default_start(CASE, None)
    machine = boot(
        BootOptions(kernel=guest.kernel, initrd=guest.initrd, command_line=CASE),
        StreamConsole(None),
    )
    if go_to_start(machine, start) is not None:
        print("the guest has no such case", file=sys.stderr)
        return 1
    limits = Limits(NEVER, NEVER, NEVER, over)
    trials = Trials(machine, limits)
    _, work = survey(trials, Workload(machine.ticks, 1), limits)
    search = Search(trials, "pct", work, jobs=jobs, wanted=lambda outcome: bool(outcome.kind))
    result = search.run(count, lambda progress: None)
    print(result.done / result.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
