# SPDX-License-Identifier: GPL-3.0-or-later
"""The only place that writes ``bpy.data``: a finished result becomes an object, or the texture of one.

Takes arrays and encoded images; knows nothing of jobs, engines or the network.
"""

from .asset import Asset, Provenance, read_result
from .build import Placement, build_object

__all__ = ["Asset", "Placement", "Provenance", "build_object", "read_result"]
