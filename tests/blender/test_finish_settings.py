# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands under Finish in the panel: what it asks of the engine, presets, what an object was made with."""

from pathlib import Path

import bpy
import pytest
from espalier.addon import ids
from espalier.addon.finish_settings import ESPALIER_PG_finish, asked, describe, settings_of, take
from espalier.addon.request import FINISHING
from espalier.addon.ui import finish_panel
from hypothesis import given, settings
from hypothesis import strategies as st

from .stand_in import tick

SHARES = st.integers(1, 1000).map(lambda number: number / 1000)
REPAIRS = st.sampled_from([None, "as_generated", "clean", "watertight"])


@pytest.fixture
def finish(engine):
    """The settings of the panel."""
    return bpy.context.scene.espalier.finish


def test_untouched_settings_ask_for_the_defaults(finish):
    assert asked(finish) == FINISHING


@st.composite
def requests(draw):
    """Settings of finishing that the panel can show."""
    repair = draw(REPAIRS)
    amount = draw(st.sampled_from(["faces", "ratio", None]))
    return {
        "faces": draw(st.integers(4, 2_000_000)) if amount == "faces" else None,
        "ratio": draw(SHARES) if amount == "ratio" else None,
        "texture_size": draw(st.sampled_from([512, 1024, 2048, 4096, 8192])),
        "repair": repair,
        "smoothing": draw(st.none() | st.integers(0, 200)),
        "hole_length": draw(st.none() | SHARES) if repair != "as_generated" else None,
        "floater_size": draw(st.none() | SHARES) if repair != "as_generated" else None,
        "thickness": draw(st.none() | st.integers(1, 200).map(lambda n: n / 1000)) if repair == "watertight" else None,
        "lods": draw(st.sampled_from([[], [0.5, 0.25, 0.12]])),
        "occlusion": draw(st.booleans()),
        "normal_map": draw(st.booleans()),
        "draft": draw(st.booleans()),
    }


def test_settings_of_an_object_come_back_into_the_panel_as_they_were(finish):
    @settings(deadline=None, max_examples=80)
    @given(requests())
    def check(request):
        take(finish, request)
        assert asked(finish) == request

    check()


def test_settings_of_earlier_versions_and_those_left_out_are_as_by_default(finish):
    take(finish, {"lods": [0.5], "occlusion": False})
    take(finish, {"quality": "starter", "faces": 300, "texture_size": 64, "matting": "auto"})
    assert asked(finish) == {**FINISHING, "faces": 300}


def test_every_request_of_the_panel_is_one_that_the_engine_takes(finish):
    pytest.importorskip("torch")
    from espalier.engine.pipelines.finishing import finish_settings as checked
    from espalier.engine.pipelines.job import check_settings

    @settings(deadline=None, max_examples=80)
    @given(requests())
    def check(request):
        take(finish, request)
        check_settings({"settings": asked(finish)})
        checked({"settings": asked(finish)}, "clean", 0)

    check()


def test_the_button_takes_the_settings_of_the_active_object(finish, engine):
    finish.repair, finish.amount, finish.faces, finish.lods = "CLEAN", "NUMBER", 1234, True
    wanted = asked(finish)
    bpy.ops.espalier.generate()
    tick()
    engine.finish()
    tick()
    for name in ESPALIER_PG_finish.__annotations__:
        finish.property_unset(name)
    assert asked(finish) != wanted
    assert bpy.ops.espalier.take_settings() == {"FINISHED"}
    assert asked(finish) == wanted
    bpy.ops.mesh.primitive_cube_add()
    assert not bpy.ops.espalier.take_settings.poll()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", 3, "[" * 100_000, '{"faces": "many"}', '{"repair": 7, "ratio": []}', '{"repair": [], "lods": 3}'],
)
def test_settings_that_were_tampered_with_are_no_harm(finish, text):
    bpy.ops.mesh.primitive_cube_add()
    item = bpy.context.object
    item[ids.PROP_SETTINGS] = text
    assert isinstance(describe(settings_of(item)), str)
    if settings_of(item):
        with pytest.raises(RuntimeError, match="cannot be read"):
            bpy.ops.espalier.take_settings()
    else:
        assert not bpy.ops.espalier.take_settings.poll()


@pytest.mark.parametrize(
    ("request_settings", "words"),
    [
        ({}, "repair as suggested, 1024 px"),
        ({"repair": "clean", "faces": 5000, "texture_size": 2048}, "Clean, at most 5,000 faces, 2048 px"),
        (
            {"repair": "watertight", "ratio": 0.25, "lods": [0.5, 0.25]},
            "Watertight, 25 % of the faces, 1024 px, 2 LODs",
        ),
        ({"draft": True, "repair": "clean", "faces": 9}, "draft, Clean"),
    ],
)
def test_settings_are_told_in_a_few_words(request_settings, words):
    assert describe(request_settings) == words


def presets():
    """The presets that Blender finds, by the names that it shows."""
    files = [file for folder in bpy.utils.preset_paths(ids.PRESETS) for file in Path(folder).glob("*.py")]
    return {bpy.path.display_name(file.name, title_case=False): file for file in files}


def apply(file):
    bpy.ops.script.execute_preset(filepath=str(file), menu_idname=ids.PT_PRESETS)


def test_presets_are_found_and_each_says_everything(finish):
    wanted = {
        "Full": {"faces": 200_000, "texture_size": 4096},
        "Game (LODs)": {"faces": 20_000, "texture_size": 2048, "lods": [0.5, 0.25, 0.12]},
        "Low-Poly (5000 faces)": {"faces": 5000},
        "3D Print (watertight)": {
            "faces": 200_000,
            "repair": "watertight",
            "thickness": 0.01,
            "occlusion": False,
            "normal_map": False,
        },
    }
    assert set(presets()) == set(wanted)
    for name, values in wanted.items():
        # Whatever was set before.
        take(
            finish,
            {"ratio": 0.5, "smoothing": 3, "hole_length": 0.1, "floater_size": 0.1, "draft": True, "lods": [0.5]},
        )
        apply(presets()[name])
        assert asked(finish) == {**FINISHING, **values}
        text = presets()[name].read_text()
        assert all(f"finish.{setting} = " in text for setting in ESPALIER_PG_finish.__annotations__)


def test_a_preset_of_ones_own_can_be_added_used_and_removed(finish, tmp_path, monkeypatch):
    folder = tmp_path / "presets" / "espalier" / "finish"

    def user_resource(_kind, path="", create=False):
        folder.mkdir(parents=True, exist_ok=True)
        return str(tmp_path / path)

    monkeypatch.setattr(bpy.utils, "user_resource", user_resource)
    bpy.utils.register_preset_path(str(tmp_path))
    try:
        finish.repair, finish.thickness, finish.lods = "WATERTIGHT", 2.5, True
        wanted = asked(finish)
        bpy.ops.espalier.add_finish_preset(name="Mine")
        assert [path.name for path in folder.glob("*.py")] == ["Mine.py"]
        take(finish, {})
        apply(presets()["Mine"])
        assert asked(finish) == wanted
        bpy.ops.espalier.add_finish_preset(name="Mine", remove_name=True)
        assert not list(folder.glob("*.py"))
    finally:
        bpy.utils.unregister_preset_path(str(tmp_path))


class Layout:
    """Writes down what is drawn and whether it is in use: there are no real layouts without a window."""

    def __init__(self, drawn, parent=None):
        self.drawn, self.parent, self.active = drawn, parent, True

    @property
    def in_use(self):
        return self.active and (self.parent is None or self.parent.in_use)

    def _part(self, **_options):
        return Layout(self.drawn, self)

    row = column = _part

    def panel(self, _name, **_options):
        return self._part(), self._part()

    def prop(self, _owner, name, **_options):
        self.drawn[name] = self.in_use

    def label(self, text="", **_options):
        self.drawn.setdefault("labels", []).append(text)

    def separator(self):
        pass

    def operator(self, name, **_options):
        self.drawn[name] = self.in_use

    popover = operator


def drawn():
    calls = {}
    finish_panel.draw_finish(Layout(calls), bpy.context.scene.espalier, bpy.context)
    return calls, " ".join(calls.get("labels", []))


def test_every_setting_is_in_the_panel(finish):
    seen = set()
    finish.use_smoothing = finish.use_holes = finish.use_floaters = True
    for amount in ("AUTOMATIC", "NUMBER", "SHARE"):
        finish.amount = amount
        seen |= drawn()[0].keys()
    assert seen >= set(ESPALIER_PG_finish.__annotations__)


def test_a_value_that_is_not_chosen_is_not_shown_because_it_would_not_be_the_one_that_is_used(finish):
    calls, labels = drawn()
    assert not {"smoothing", "hole_length", "floater_size"} & calls.keys() and labels.count("As Suggested") == 3
    finish.use_smoothing = True
    calls, labels = drawn()
    assert calls["smoothing"] and labels.count("As Suggested") == 2


@pytest.mark.parametrize(
    ("repair", "out_of_use", "why"),
    [
        ("MODEL", {"thickness"}, "Thickness is for Watertight"),
        ("CLEAN", {"thickness"}, "Thickness is for Watertight"),
        ("WATERTIGHT", set(), ""),
        ("AS_GENERATED", {"thickness", "use_holes", "hole_length", "use_floaters", "floater_size"}, "closes nothing"),
    ],
)
def test_settings_that_a_repair_has_no_use_for_are_grey_and_the_panel_says_why(finish, repair, out_of_use, why):
    finish.repair = repair
    finish.use_holes = finish.use_floaters = finish.use_smoothing = True
    calls, labels = drawn()
    assert {name for name, active in calls.items() if active is False} == out_of_use
    assert why in labels


def test_a_draft_leaves_only_the_repair_to_choose_and_the_panel_says_why(finish):
    finish.draft = True
    calls, labels = drawn()
    in_use = {name for name in ESPALIER_PG_finish.__annotations__ if calls.get(name)}
    assert in_use == {"draft", "repair"}
    assert "A draft keeps every face" in labels


def test_the_object_at_hand_tells_what_it_was_made_with(finish, engine):
    finish.repair, finish.texture_size = "CLEAN", "512"
    bpy.ops.espalier.generate()
    tick()
    assert ids.OP_FINISH_AGAIN not in drawn()[0]
    (engine.submitted[0][1] / "voxels.safetensors").write_bytes(b"voxels")
    engine.finish()
    tick()
    calls, labels = drawn()
    assert calls[ids.OP_FINISH_AGAIN] and calls[ids.OP_TAKE_SETTINGS]
    assert "red mug: Clean, 512 px" in labels


def test_painting_has_only_the_size_of_the_maps(finish):
    bpy.context.scene.espalier.mode = "TEXTURE"
    assert drawn()[0] == {"labels": ["Finish"], "texture_size": True}


def test_settings_are_saved_with_the_file(finish, tmp_path):
    finish.thickness = 3.0
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    take(finish, {})
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    assert bpy.context.scene.espalier.finish.thickness == pytest.approx(3.0)
