# SPDX-License-Identifier: GPL-3.0-or-later
"""From a picture a person chose to the tokens that condition the flows."""
