# SPDX-License-Identifier: GPL-3.0-or-later
"""Run inside Blender by test_german.py: what Blender itself makes of our texts in German, before, during and after the
extension is switched off and on.

What was found is printed as one line of JSON after ``@@german``.
"""

import json

import addon_utils
import bpy

MODULE = "bl_ext.user_default.espalier"
translations = bpy.app.translations


def look_up():
    """Texts of each kind, as Blender shows them now."""
    return [
        translations.pgettext_iface("Generate", "Operator"),
        translations.pgettext_iface("Lock Seed"),
        translations.pgettext_iface("Fine", "Espalier"),
        translations.pgettext_iface("Texture", "Espalier"),
        translations.pgettext_tip("Cancel every job that has not begun"),
    ]


def wrong_messages():
    """The entries of our dictionary that Blender shows otherwise than it has them."""
    languages = __import__(f"{MODULE}.addon.languages", fromlist=["german"])
    entries = languages.messages(languages.german).items()
    return [key for key, translated in entries if translations.pgettext_iface(key[1], key[0]) != translated]


def reports():
    """What operators answer to something impossible."""
    found = []
    for call in (
        lambda: bpy.ops.espalier.open_image(filepath="/nowhere/cup.png"),
        lambda: bpy.ops.espalier.grab_view(),
        lambda: bpy.ops.espalier.paste_image(),
    ):
        try:
            call()
        except RuntimeError as error:
            found.append(str(error).strip())
    return found


def main():
    view = bpy.context.preferences.view
    found = {"english": look_up()}
    view.language = "de_DE"
    found.update(german=look_up(), wrong=wrong_messages(), reports=reports())
    again = []
    for _ in range(2):
        addon_utils.disable(MODULE)
        off = look_up()
        addon_utils.enable(MODULE)
        again.append((off, look_up()))
    found["again"] = again
    view.use_translate_interface = False
    found["not the interface"] = translations.pgettext_iface("Lock Seed")
    view.use_translate_interface, view.language = True, "en_US"
    found["back"] = look_up()
    print("@@german", json.dumps(found), flush=True)


main()
