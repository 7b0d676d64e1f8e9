# SPDX-License-Identifier: GPL-3.0-or-later
"""German. ``WORDS`` and ``OPERATORS`` are the interface's own texts, with named fields; ``TOLD`` are sentences that
come with their values inside, from client, scene and engine, with numbered fields.
"""

from . import addon_told, engine_told, panels, properties, reports

WORDS = {**properties.WORDS, **panels.WORDS, **reports.WORDS}
OPERATORS = {**panels.OPERATORS, **reports.OPERATORS}
TOLD = {**addon_told.TOLD, **engine_told.TOLD}
