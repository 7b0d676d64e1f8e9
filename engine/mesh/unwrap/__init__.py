# SPDX-License-Identifier: GPL-3.0-or-later
"""Charts, laid flat and packed into an atlas."""
