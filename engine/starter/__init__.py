# SPDX-License-Identifier: GPL-3.0-or-later
"""The starter model's world: procedural assets, their voxels and their pictures."""
