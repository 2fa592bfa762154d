"""Set up all that wdbg needs on this machine. Standard library only; started by `make`.

    tools/python tools/setup.py [--dev] [--guest NAME ...]

Exit status: 0 done, 2 something is missing that the user has to see to (one line says what),
another one if a guest's build failed.
"""

import argparse
import sys
from pathlib import Path

from provision import apt, environment, guest
from provision.progress import Progress, SetupError

TREE = Path(__file__).resolve().parent.parent


def main() -> int:
    """Install, build and return the exit status."""
    parser = argparse.ArgumentParser(description="Set up wdbg on this machine.")
    parser.add_argument("--dev", action="store_true", help="with what the tests need")
    parser.add_argument(
        "--guest", nargs="*", default=[], metavar="NAME", help="configurations to build"
    )
    arguments = parser.parse_args()
    progress = Progress(TREE / "build" / "setup.log")
    try:
        apt.install_missing(progress, tests=arguments.dev)
        extras = frozenset({"dev"} if arguments.dev else ())
        python = environment.make_environment(progress, TREE, extras)
        return guest.build(python, arguments.guest)
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"setup: {error.strerror}: {error.filename}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nsetup: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
