"""Work in a forked copy of the process, which may be ruined: stacks are read there."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any


def in_fork(function: Callable[[], Any]) -> Any:
    """Run `function` in a forked copy of the process; its JSON result.

    The copy ends there, so `function` may ruin it.  Raises RuntimeError if it failed.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(reader)
            with os.fdopen(writer, "wb") as out:
                out.write(json.dumps(function()).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as source:
        text = source.read()
    if os.waitpid(pid, 0)[1]:
        raise RuntimeError("the forked copy of the machine failed")
    return json.loads(text)
