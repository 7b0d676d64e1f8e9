# SPDX-License-Identifier: GPL-3.0-or-later
"""From a raw surface to one that is whole: holes, seams, winding, layers, watertight skins."""
