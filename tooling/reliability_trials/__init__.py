# SPDX-License-Identifier: GPL-3.0-or-later
"""The trials of ``build.py reliability``: each takes a folder of its own and returns what it counted."""
