# SPDX-License-Identifier: GPL-3.0-or-later
"""What every step of the finishing asks of a triangle surface: its edges and pieces, normals, smoothing."""
