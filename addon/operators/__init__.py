# SPDX-License-Identifier: GPL-3.0-or-later
"""One file per thing that a person can do."""
