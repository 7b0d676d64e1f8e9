# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps of the atlas, from the voxel materials and the raw surface."""
