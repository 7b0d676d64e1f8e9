# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on: everything that runs inside Blender, with bpy and without torch."""
