# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine: everything that runs in its own process, with torch and without bpy."""
