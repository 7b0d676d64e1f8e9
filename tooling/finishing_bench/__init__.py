# SPDX-License-Identifier: GPL-3.0-or-later
"""``build.py bench finishing``: a fixed set of objects from raw surface to finished asset, measured by code of its own.

What is measured runs in processes of its own; what measures it (scipy, manifold3d, a rasteriser of this folder) shares
no code with the engine.
"""
