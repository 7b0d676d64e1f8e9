# SPDX-License-Identifier: GPL-3.0-or-later
"""Every reader is fed with damage: it reads or refuses with a sentence, soon, in little memory, in its own folder.

The cases are the same in every run. ``ESPALIER_FUZZ_TIMES=50 python3 build.py test tests/fuzz`` searches longer.
"""
