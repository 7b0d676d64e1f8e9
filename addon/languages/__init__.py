# SPDX-License-Identifier: GPL-3.0-or-later
"""What people read, in the language of Blender's interface, by Blender's own translation system.

Labels and descriptions that Blender is given as literals it translates itself. Three kinds it cannot, and there are
functions for them: sentences with values in them (``iface_``, ``tip_``, ``rpt_``), sentences that ``client``, ``scene``
or the engine have made in English with their values already inside (``told``), and what an operator that we call
reports (``reported``).
"""

import contextlib
import re
from functools import lru_cache

import bpy

from .. import ids
from . import german

# By the names of Blender's locales. Contexts are Blender's: "Operator" for the labels of operators and the buttons that
# show them, "*" for everything else. Blender's own dictionary comes first, so words that it has in another sense need
# a context of ours.
LANGUAGES = {"de_DE": german}

_FIELD = re.compile(r"\{\d\}")
_BETWEEN_SENTENCES = re.compile(r"(?<=[.]) (?=[A-Z“])")


def register():
    """Give Blender the dictionaries."""
    # One from a registration that failed half way would stand against this one.
    unregister()
    bpy.app.translations.register(__name__, {name: messages(language) for name, language in LANGUAGES.items()})


def unregister():
    """Take them back; to do so twice does no harm."""
    bpy.app.translations.unregister(__name__)


def messages(language):
    """A language's dictionary as Blender wants it, by context and English text."""
    general = {**language.WORDS, **language.TOLD}
    return {
        **{("*", text): translated for text, translated in general.items()},
        **{("Operator", text): translated for text, translated in language.OPERATORS.items()},
        **{(ids.CONTEXT, text): translated for text, translated in language.OWN.items()},
    }


def iface_(template, context="*", /, **values):
    """A text of the interface, translated, with values put into its fields: ``iface_("{count} more", count=3)``."""
    return bpy.app.translations.pgettext_iface(template, context).format(**values)


def tip_(template, **values):
    """The same for a description that is shown while the pointer rests on something."""
    return bpy.app.translations.pgettext_tip(template).format(**values)


def rpt_(template, **values):
    """The same for what an operator reports and for messages that stay in the panel."""
    return bpy.app.translations.pgettext_rpt(template).format(**values)


def told(sentence):
    """A sentence that was made in English, with its values inside, translated; several together too.

    It stays as it is where no dictionary knows it. A value is only put in its new place, unless the translation says
    with ``{0:told}`` that it is a sentence or a part of one itself.
    """
    if bpy.app.translations.locale not in LANGUAGES:
        return sentence
    translated = _translated(sentence)
    if translated is None:
        parts = [_translated(part) for part in _BETWEEN_SENTENCES.split(sentence)]
        translated = " ".join(parts) if None not in parts else sentence
    return translated


def reported(error):
    """What an operator that was called from Python reported, out of the RuntimeError that this arrives as."""
    return str(error).strip().removeprefix(f"{rpt_('Error')}: ").strip()


class _Value(str):
    """A value of a sentence that was made in English; the format "told" translates it, or raises LookupError."""

    def __format__(self, spec):
        if spec != "told":
            if _BETWEEN_SENTENCES.search(self):
                # The template was laid over two sentences, of which it is none.
                raise LookupError(self)
            return str(self)
        translated = told(str(self))
        if translated == self:
            raise LookupError(self)
        return translated


def _translated(sentence):
    """The sentence translated, None where that cannot be: half a translation is worse than none."""
    for template, values in _readings(sentence):
        translated = bpy.app.translations.pgettext_rpt(template)
        with contextlib.suppress(LookupError):
            if translated != template:
                return translated.format(*map(_Value, values))
    return None


@lru_cache(maxsize=1024)
def _readings(sentence):
    """What the sentence may be an instance of: pairs of an entry of ``TOLD`` and its values, the likeliest first."""
    matches = ((template, pattern.fullmatch(sentence)) for template, pattern in _patterns())
    return ((sentence, ()), *((template, match.groups()) for template, match in matches if match))


@lru_cache(maxsize=1)
def _patterns():
    """Every sentence with fields that any language knows, the longest text first: it says most."""
    templates = {text for language in LANGUAGES.values() for text in language.TOLD if _FIELD.search(text)}
    ordered = sorted(templates, key=lambda text: (-len(_FIELD.sub("", text)), text))
    return [(text, re.compile("(.*?)".join(map(re.escape, _FIELD.split(text))), re.DOTALL)) for text in ordered]
