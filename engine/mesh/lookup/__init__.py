# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies where: the closest point of a surface, rays, the triangle under a texel."""
