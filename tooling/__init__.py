# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``build.py`` does: the environment, the checks, the package, the lock files, the demo."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - people start build.py with whatever their system calls python3
    sys.exit("Espalier's build.py needs Python 3.11: run it as `python3.11 build.py`.")
