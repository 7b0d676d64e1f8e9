# SPDX-License-Identifier: GPL-3.0-or-later
"""Panels and menus. They draw what the session says and decide nothing."""
