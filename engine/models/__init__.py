# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks of TRELLIS.2, with the released parameter names."""
