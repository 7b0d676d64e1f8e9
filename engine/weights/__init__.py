# SPDX-License-Identifier: GPL-3.0-or-later
"""Model sets on disk: which files, how they are checked, and in which precision they run."""
