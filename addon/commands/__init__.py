# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of ``blender --command espalier``, one file each.

A module has ``add_to(commands)``, which adds its arguments and sets ``start``: called with the parsed options and a
Reporter it gives an object with ``run() -> exit code``, ``close()`` and ``log_trace() -> file``.
"""

from . import batch, convert, doctor, finish, generate, install, jobs, models, texture

COMMANDS = (generate, finish, texture, batch, jobs, convert, install, models, doctor)
