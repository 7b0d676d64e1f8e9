# SPDX-License-Identifier: GPL-3.0-or-later
"""Finishing: from a raw surface and voxel materials to a clean, unwrapped, textured mesh."""
