# SPDX-License-Identifier: GPL-3.0-or-later
"""German, with the terms of Blender's German interface.

``WORDS`` and ``OPERATORS`` are the interface's own texts, with named fields; ``OWN`` are those that Blender's own
dictionary may have in another sense. ``TOLD`` are sentences that come with their values inside, from client, scene and
engine, with numbered fields.
"""

from . import addon_told, doctor_told, engine_told, messages, operators, panels, properties

WORDS = {**properties.WORDS, **operators.WORDS, **panels.WORDS, **messages.WORDS}
OPERATORS = operators.OPERATORS
OWN = properties.OWN
TOLD = {**addon_told.TOLD, **engine_told.TOLD, **doctor_told.TOLD}
