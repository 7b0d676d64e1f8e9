# SPDX-License-Identifier: GPL-3.0-or-later
"""Flow matching: time schedule, guidance and the Euler sampler."""
