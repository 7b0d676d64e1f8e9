# SPDX-License-Identifier: GPL-3.0-or-later
"""``build.py bench engine``: networks of full size with random weights, every optimisation on and off in one run."""
