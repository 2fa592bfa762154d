# SPDX-License-Identifier: GPL-2.0-only
"""How the example guest is built; examples/guest/build.py is the command."""
