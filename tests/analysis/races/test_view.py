"""A race in columns."""

from wdbg.analysis.races.view import Step, columns


class Named:
    """Names of tasks."""

    def task(self, number: int, tick: int) -> str:
        return f"task/{number}"


STEPS = [
    Step(10, 1, 1, 1, 0, "write 0x1 first", True, 100),
    Step(11, 2, 1, 1, 0, "┌ lock 0x40", False),
    Step(12, 3, 2, 2, 1, "read second", True, 200),
    Step(13, 4, 1, 1, 0, "└ unlock 0x40", False),
    Step(14, 5, 2, 2, 1, "read again", True, 300),
]


def test_each_task_has_a_column_and_locks_are_spans():
    lines = columns(STEPS, Named(), frozenset({(10, 100), (14, 300)}), 40)
    assert lines[0].split() == ["tick", "CPU", "task/1", "task/2"]
    second = lines[0].index("task/2")
    assert [line[second:] for line in lines[1:]] == ["", "", "read second", "", "read again *"]
    assert "write 0x1 first *" in lines[1]
    assert "│" in lines[3][:second], "the lock is held meanwhile"
    assert "│" not in lines[5]


def test_the_racing_accesses_are_always_shown():
    lines = columns(STEPS, Named(), frozenset({(10, 100), (14, 300)}), 1)
    assert [line.split()[0] for line in lines] == ["tick", "10", "14"]
    assert columns([], Named(), frozenset(), 1) == ["no access of it is in the trace"]
