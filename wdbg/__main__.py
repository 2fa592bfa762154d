"""`python -m wdbg`."""

import sys

from wdbg.cli.main import main

sys.exit(main())
