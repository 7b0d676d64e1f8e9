# SPDX-License-Identifier: GPL-3.0-or-later
"""Fewer triangles: edge collapse, to an exact number, and levels of detail."""
