# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing that people read in Blender is left out of its translation: German has every word, and no word too many.

The bpy module is built without translations, so its dictionary is replaced by our own; test_german.py in tests/ui asks
the real one.
"""

import re
import string
import types

import espalier
import pytest
from espalier.addon import languages
from espalier.addon.client import EngineState
from espalier.addon.client.engine import Event
from espalier.addon.languages import german

from . import visible_text
from .stand_in import tick

# Texts that no language changes, and literals that only look like texts.
SAME = {
    "Espalier": "our name",
    "BiRefNet": "the name of a model",
    "TRELLIS.2-4B": "the name of a model",
    "LODs": "an abbreviation that German uses too",
    **{f"{size} px": "a number and its unit" for size in (512, 1024, 2048, 4096, 8192)},
    "Clipboard": "the name of an image, which is data",
    "Object": "the name of an object, which is data",
    "not used yet": "in the report for developers, which is English",
    "%Y-%m-%d %H:%M": "a pattern",
    r"(\d) (\S{1,3})(?!\S)": "a pattern",
}
# f-strings whose words are no language's, by file and function.
NO_LANGUAGE = {
    "addon/finish_settings.py:": "the table of sizes; Blender looks up each description whole",
    "addon/finish_settings.py:describe": "a number and its unit",
    "addon/operators/presets.py:ESPALIER_OT_add_finish_preset": "Python for Blender's presets",
    "addon/operators/presets.py:ESPALIER_OT_add_sampling_preset": "Python for Blender's presets",
    "addon/operators/report.py:report": "the report for developers, which is English",
    "addon/operators/take_image.py:ESPALIER_OT_grab_view.execute": "the name of an image, which is data",
    "addon/request.py:make_request": "a mistake of a programmer",
    "addon/session.py:Session.begin": "the name of a file",
    "addon/stages.py:duration": "numbers and their units",
    "addon/ui/engine_panel.py:describe": "names and versions",
    "addon/ui/text.py:megabytes": "a number and its unit",
}


@pytest.fixture(scope="module")
def words():
    espalier.register()
    found = visible_text.interface_words()
    espalier.unregister()
    return found


class Dictionary:
    """Blender's look-up of German, for a Blender that is built without it."""

    locale = "de_DE"

    def __init__(self):
        self.messages = languages.messages(german)

    def pgettext_iface(self, text, context="*"):
        return self.messages.get((context or "*", text), text)

    pgettext_tip = pgettext_rpt = pgettext_iface


@pytest.fixture
def in_german():
    dictionary, blender = Dictionary(), languages.bpy
    languages.bpy = types.SimpleNamespace(app=types.SimpleNamespace(translations=dictionary))
    yield dictionary
    languages.bpy = blender


def fields(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def entries():
    return [(text, translated) for (_, text), translated in languages.messages(german).items()]


def missing_words(words):
    """What of the interface's texts German lacks, and where it is."""
    known = languages.messages(german)
    return {key: where for key, where in words.items() if key not in known and key[1] not in SAME}


def missing_sentences():
    """What of the sentences that client, scene and engine make German lacks, and where it is."""
    return {text: where for text, where in visible_text.told_sentences().items() if text not in german.TOLD}


def test_every_text_of_the_interface_has_a_translation(words):
    assert not missing_words(words)


def test_every_sentence_of_client_scene_and_engine_has_a_translation():
    assert not missing_sentences()


def test_no_translation_is_of_a_text_that_nobody_sees(words):
    literals = visible_text.all_told()
    unused = [text for text in german.TOLD if text not in literals]
    unused += [key for key in languages.messages(german) if key not in words and key[1] not in german.TOLD]
    assert not unused


def test_texts_that_stay_the_same_are_still_there(words):
    assert not set(SAME) - {text for _, text in words}
    assert not set(NO_LANGUAGE) - set(visible_text.f_strings_with_words())


def test_a_missing_translation_is_noticed(words, monkeypatch):
    monkeypatch.delitem(german.OPERATORS, "Generate")
    monkeypatch.delitem(german.OWN, "Fine")
    monkeypatch.delitem(german.TOLD, "The job was cancelled.")
    assert {("Operator", "Generate"), ("Espalier", "Fine")} <= missing_words(words).keys()
    assert "The job was cancelled." in missing_sentences()


def test_translations_have_the_values_of_their_texts_and_end_like_them():
    for text, translated in entries():
        assert fields(text) == fields(translated), text
        assert translated.strip() == translated != "", text
        # Descriptions end without a full stop, as Blender's do; what ends with a part of a sentence ends as that does.
        assert text.endswith(".") == translated.endswith(".") or text.endswith("}"), text
        assert translated.count("„") == translated.count("“") and "”" not in translated, text


def test_no_text_is_put_together_where_no_dictionary_can_know_it():
    found = visible_text.f_strings_with_words()
    assert not {where: text for where, text in found.items() if where not in NO_LANGUAGE}


def test_what_blender_does_not_translate_goes_through_our_functions():
    assert visible_text.untranslated() == set(visible_text.NO_TEXT)


def test_sentences_with_values_are_found_again_and_keep_them(in_german):
    # A part of a sentence where the translation asks for one, else something that is no word.
    parts = {"0": "be missing", "1": "it is private", "2": "no still image"}
    for text, translated in german.TOLD.items():
        named = sorted(fields(text))
        are_parts = {name for _, name, spec, _ in string.Formatter().parse(translated) if spec == "told"}
        # Where nothing but a space stands between two values, the first has none.
        value = "/home/{}.y" if "} {" in text else "/home/x.y/{} z"
        values = [parts[name] if name in are_parts else value.format(name) for name in named]
        expected = translated.format(*map(languages._Value, values))
        assert languages.told(text.format(*values)) == expected
        for name, value in zip(named, values, strict=True):
            assert (german.TOLD[value] if name in are_parts else value) in expected, text


def test_sentences_that_stand_together_are_translated_together(in_german):
    both = "The job was cancelled. The image encoder of TRELLIS.2-4B."
    assert languages.told(both) == "Der Auftrag wurde abgebrochen. Der Bild-Encoder von TRELLIS.2-4B."
    quality = "Quality fine does not fit: it needs about 9.1 GB of graphics memory at once, and 8.0 GB are free."
    assert languages.told(f"{quality} Quality draft would fit.").endswith(
        "8.0 GB sind frei. Qualität draft würde passen."
    )


def test_a_reason_is_translated_alone_and_in_the_refusal_made_of_it(in_german):
    reason = "FP8 does not work with this graphics card and this version of torch"
    translated = "FP8 läuft mit dieser Grafikkarte und dieser Fassung von torch nicht"
    assert languages.told(reason) == translated
    assert languages.told(f"{reason}: switch it off.") == f"{translated}: ausschalten."


def test_a_sentence_that_is_not_wholly_known_stays_as_it_is(in_german):
    for sentence in (
        "Something that nobody foresaw.",
        "The job was cancelled. Something that nobody foresaw.",
        "The model file “a.safetensors” is purple. Fetch the model again.",
        "“cup” stands upside down.",
        "",
    ):
        assert languages.told(sentence) == sentence


def test_names_are_not_translated(in_german):
    # "memory" and "Shape" are in the dictionary.
    assert "„memory“" in languages.told("“memory” has no faces: there is nothing to texture.")
    assert languages.rpt_("{name}: cancelled", name="Shape {0}") == "Shape {0}: abgebrochen"


def test_without_a_dictionary_everything_is_english():
    assert languages.iface_("Queue ({count})", count=3) == "Queue (3)"
    assert languages.told("The job was cancelled.") == "The job was cancelled."


class Layout:
    """Writes down what is drawn, as Blender shows it: there are no real layouts without a window."""

    def __init__(self, dictionary, shown):
        self.__dict__.update(dictionary=dictionary, shown=shown)

    def __setattr__(self, name, value):
        pass

    def panel(self, *_arguments, **_options):
        return Layout(self.dictionary, self.shown), Layout(self.dictionary, self.shown)

    def __getattr__(self, call):
        def draw(*arguments, text=None, heading="", translate=True, text_ctxt="", **_options):
            context = text_ctxt or ("Operator" if call == "operator" else "*")
            if text is None and call == "operator" and arguments[0].startswith("espalier."):
                cls = next(c for c in visible_text.registration.CLASSES if getattr(c, "bl_idname", "") == arguments[0])
                text = cls.bl_label
            for each in filter(None, (text, heading)):
                self.shown.append(self.dictionary.pgettext_iface(each, context) if translate else each)
            return Layout(self.dictionary, self.shown)

        return draw


ENGLISH = {text for text, translated in entries() if text != translated}
TEMPLATES = [
    re.compile(re.sub(r"\\{.*?\\}", ".+", re.escape(text)))
    for text in ENGLISH
    if fields(text) and len(re.sub(r"\{.*?\}|\W", "", text)) > 5
]


def english_in(shown):
    """What of the texts that are drawn is English."""
    return [text for text in shown if text in ENGLISH or any(pattern.fullmatch(text) for pattern in TEMPLATES)]


@pytest.fixture
def shown(engine, in_german):
    """Return a function that draws the whole panel and the preferences and returns their texts."""
    import bpy
    from espalier.addon.ui.panels import ESPALIER_PT_main
    from espalier.addon.ui.preferences_panel import draw_preferences

    def draw():
        texts = []
        layout = Layout(in_german, texts)
        ESPALIER_PT_main.draw(types.SimpleNamespace(layout=layout), bpy.context)
        draw_preferences(layout, bpy.context, types.SimpleNamespace())
        return texts

    return draw


def test_a_panel_in_german_has_no_english(shown, engine):
    import bpy
    from espalier.addon.session import session

    engine.state, engine.memory = EngineState.READY, {"used": 3 << 30, "free": 5 << 30}
    engine.hello = {"device": {"type": "cpu"}, "torch": None, "python": "3.11"}
    session.models = [
        {"set": "BiRefNet", "state": "missing", "size": 2e8, "purpose": "Cuts the subject out of its background."}
    ]
    seen = [*shown()]
    bpy.context.scene.espalier.variants = 3
    bpy.ops.espalier.generate()
    tick()
    engine.progress()
    engine.events.append(
        Event("log", session.current().id, {"text": "The background was removed by its plain colour."})
    )
    tick(1)
    seen += shown()
    data = {"code": "no_space", "hint": "No space left", "log": ""}
    data["sentence"] = "The disk that holds /home/anna is full. Free some space, then run the job again."
    engine.events.append(Event("failed", session.current().id, data))
    tick(1)
    session.queue.on_hold = True
    seen += shown()
    session.queue.clear_waiting()
    tick()
    seen += shown()
    bpy.context.scene.espalier.mode = "TEXTURE"
    bpy.ops.mesh.primitive_cube_add()
    bpy.context.scene.espalier.model = "TRELLIS2"
    seen += shown()
    assert not english_in(seen)
    for text in ("Form 3/12 · noch 40 s", "3.0 GB belegt", "Cube texturieren", "Warteschlange (2)"):
        assert any(text in each for each in seen), (text, seen)


def test_english_is_noticed_on_a_panel(shown):
    import bpy

    assert english_in(["Generate"]) and english_in(["Results (3)"])
    assert not english_in(["Erzeugen", "Ergebnisse (3)", "Cube"])
    assert len(shown()) > 20 and bpy.context.scene is not None
