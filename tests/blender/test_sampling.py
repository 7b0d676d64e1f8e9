# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps and guidance of each stage: under Advanced in the panel, on the command line, in the rows of a batch."""

import json

import bpy
import pytest
from espalier.addon import cli, ids, preferences
from espalier.addon.commands.manifest import read_manifest
from espalier.addon.commands.sampling import samplers_asked
from espalier.addon.expectation import expectation
from espalier.addon.request import make_request, make_texture_request
from espalier.addon.samplers import samplers_of
from espalier.addon.sampling_settings import asked, own_samplers, take
from espalier.addon.session import session
from espalier.addon.ui.advanced_panel import draw_advanced
from hypothesis import given, settings
from hypothesis import strategies as st

from .stand_in import tick
from .test_finish_settings import Layout

STARTER = {
    "structure": {"steps": 12, "guidance_strength": 2.0},
    "shape": {"steps": 1, "guidance_strength": 1.0},
    "material": {"steps": 1, "guidance_strength": 1.0},
}
PUBLISHED = {
    "structure": {"steps": 12, "guidance_strength": 7.5},
    "shape": {"steps": 12, "guidance_strength": 7.5},
    "material": {"steps": 12, "guidance_strength": 1.0},
}


@pytest.fixture
def panel(engine):
    """The settings of the panel."""
    return bpy.context.scene.espalier


def drawn(panel):
    calls = {}
    draw_advanced(Layout(calls), panel)
    return calls


def test_the_values_of_a_model_are_those_that_the_engine_samples_with():
    pytest.importorskip("torch")
    from espalier.engine.weights.configuration import SAMPLERS, read_configuration

    for starter in (True, False):
        folder = preferences.described_in(starter)
        config = read_configuration(folder)
        shown = samplers_of(folder)
        for stage, name in zip(("structure", "shape", "material"), SAMPLERS, strict=True):
            params = config.samplers[name].params
            assert shown[stage] == {"steps": params.steps, "guidance_strength": params.guidance_strength}


@pytest.mark.parametrize("text", [None, "", "[]", '{"args": 3}', '{"args": {"tex_slat_sampler": {"params": []}}}'])
def test_a_description_that_says_nothing_gives_what_the_engine_assumes(tmp_path, text):
    if text is not None:
        (tmp_path / "pipeline.json").write_text(text)
    assert samplers_of(tmp_path)["material"] == {"steps": 12, "guidance_strength": 1.0}


def test_each_model_shows_its_own_values_until_others_are_chosen(panel):
    assert own_samplers(panel) == STARTER
    assert drawn(panel)["labels"] == ["Advanced", "Structure", "12", "2", "Shape", "1", "1", "Material", "1", "1"]
    panel.model = "TRELLIS2"
    assert own_samplers(panel) == PUBLISHED
    panel.sampling.shape.use_steps = True
    calls = drawn(panel)
    assert calls["labels"] == ["Advanced", "Structure", "12", "7.5", "Shape", "7.5", "Material", "12", "1"]
    assert calls["steps"] is True
    panel.mode = "TEXTURE"
    assert drawn(panel)["labels"] == ["Advanced", "Material", "12", "1"]


def test_a_value_begins_with_what_the_model_has(panel):
    panel.model = "TRELLIS2"
    panel.sampling.structure.use_guidance = panel.sampling.shape.use_steps = True
    assert asked(panel.sampling, "generate") == {"structure": {"guidance_strength": 7.5}, "shape": {"steps": 12}}
    assert asked(panel.sampling, "texture") == {}


STAGE = st.fixed_dictionaries(
    {}, optional={"steps": st.integers(1, 1000), "guidance_strength": st.integers(0, 1000).map(lambda n: n / 10)}
).filter(bool)
SAMPLERS = st.fixed_dictionaries({}, optional=dict.fromkeys(("structure", "shape", "material"), STAGE))


def test_what_a_result_was_sampled_with_comes_back_as_it_was_and_the_engine_takes_it(panel):
    pytest.importorskip("torch")
    from espalier.engine.pipelines.job import sampling_of

    @settings(deadline=None, max_examples=60)
    @given(SAMPLERS)
    def check(samplers):
        take(panel.sampling, samplers)
        request = asked(panel.sampling, "generate")
        assert request == samplers
        assert sampling_of({"settings": {"samplers": request}}).samplers == samplers

    check()


def test_the_object_tells_how_it_was_sampled_and_use_settings_brings_it_back(panel, engine):
    panel.sampling.material.use_steps = True
    panel.sampling.material.steps = 7
    panel.sampling.fast = panel.sampling.int8 = panel.sampling.fp8 = True
    bpy.ops.espalier.generate()
    tick()
    engine.finish()
    tick()
    item = bpy.context.view_layer.objects.active
    assert json.loads(item[ids.PROP_SETTINGS])["samplers"] == {"material": {"steps": 7}}
    take(panel.sampling, {"shape": {"steps": 3}})
    panel.sampling.fast = panel.sampling.int8 = panel.sampling.fp8 = False
    session.look()
    tick()
    assert bpy.ops.espalier.recall(job=item[ids.PROP_JOB]) == {"FINISHED"}
    assert asked(panel.sampling, "generate") == {"material": {"steps": 7}}
    assert panel.sampling.fast and panel.sampling.int8 and panel.sampling.fp8


def test_a_request_without_choices_is_what_it_was_before_there_were_any(panel, engine):
    bpy.ops.espalier.generate()
    tick()
    assert "samplers" not in session.queue.store.read(engine.submitted[0][1]).request["settings"]


def test_a_preset_of_ones_own_keeps_every_value(panel, tmp_path, monkeypatch):
    def user_resource(_kind, path="", create=False):
        (tmp_path / path).mkdir(parents=True, exist_ok=True)
        return str(tmp_path / path)

    monkeypatch.setattr(bpy.utils, "user_resource", user_resource)
    wanted = {"structure": {"steps": 25}, "shape": {"steps": 8, "guidance_strength": 3.5}}
    take(panel.sampling, wanted)
    bpy.ops.espalier.add_sampling_preset(name="Mine")
    (file,) = tmp_path.rglob("Mine.py")
    take(panel.sampling, {"material": {"steps": 2}})
    bpy.ops.script.execute_preset(filepath=str(file), menu_idname=ids.PT_SAMPLING_PRESETS)
    assert asked(panel.sampling, "generate") == wanted


def test_the_expected_time_counts_other_steps_than_earlier_runs_had(panel, engine):
    bpy.ops.espalier.generate()
    tick()
    engine.finish()
    tick()
    state = session.queue.store.list()[0].folder / "state.json"
    state.write_text(json.dumps({"state": "built", "seconds": {"shape": 2.0}}))
    session.look()
    tick()

    def expected(samplers):
        return expectation(session.shelf, "generate", "starter", "starter", samplers, STARTER)

    assert expected({}) == "About 2 s, as before"
    assert expected({"shape": {"steps": 30}}) == "About 1 min 00 s, as before"
    assert expected({"structure": {"steps": 30}}) == "About 2 s, as before"


COMMANDS = {
    "generate": ["generate", "mug.png", "--output", "out"],
    "texture": ["texture", "cup.glb", "--image", "mug.png", "--output", "out"],
}


@pytest.mark.parametrize(
    ("command", "options", "samplers"),
    [
        ("generate", [], {}),
        ("generate", ["--steps", "20"], {stage: {"steps": 20} for stage in ("structure", "shape", "material")}),
        (
            "generate",
            ["--steps", "structure=20,material=8", "--guidance", "structure=3.5"],
            {"structure": {"steps": 20, "guidance_strength": 3.5}, "material": {"steps": 8}},
        ),
        ("texture", ["--steps", "20"], {"material": {"steps": 20}}),
        ("texture", ["--guidance", "material=2"], {"material": {"guidance_strength": 2.0}}),
    ],
)
def test_options_are_for_every_stage_or_for_those_named(command, options, samplers):
    assert samplers_asked(cli.parser().parse_args([*COMMANDS[command], *options])) == samplers


@pytest.mark.parametrize(
    ("command", "option", "value", "reason"),
    [
        ("generate", "--steps", "0", "from 1 to 1000"),
        ("generate", "--steps", "2.5", "from 1 to 1000"),
        ("generate", "--steps", "colour=3", "names no stage"),
        ("generate", "--steps", "shape=3,shape=4", "or one twice"),
        ("generate", "--steps", "3,4", "from 1 to 1000"),
        ("generate", "--guidance", "nan", "from 0 to 100"),
        ("texture", "--steps", "shape=3", "one of material"),
    ],
)
def test_options_that_cannot_be_are_refused_with_the_reason(capsys, command, option, value, reason):
    assert cli.main([*COMMANDS[command], option, value]) == cli.BAD_INPUT
    assert reason in capsys.readouterr().err


def rows(tmp_path, samplers, **more):
    file = tmp_path / "jobs.jsonl"
    file.write_text(json.dumps({"image": "mug.png", "settings": {"samplers": samplers}, **more}))
    return read_manifest(file, "glb")


def test_a_row_says_how_it_is_sampled(tmp_path):
    samplers = {"shape": {"steps": 3, "guidance_interval": [0.5, 1.0]}, "material": {"rescale_t": 3}}
    (row,), faults = rows(tmp_path, samplers)
    assert row.settings == {"samplers": samplers} and not faults


@pytest.mark.parametrize(
    ("samplers", "more", "reason"),
    [
        ({"shapes": {"steps": 3}}, {}, "“shapes” is no stage"),
        ({"shape": {"step": 3}}, {}, "“step” is no setting of a sampler"),
        ({"shape": {"steps": 0}}, {}, "steps of shape is 0 and should be a whole number from 1 to 1000"),
        ({"shape": {"guidance_interval": [0.5]}}, {}, "two times from 0 to 1"),
        ({"shape": 3}, {}, "should be an object"),
        ({"shape": {"steps": 3}}, {"mesh": "cup.glb"}, "choose among material"),
    ],
)
def test_a_row_that_cannot_be_sampled_is_refused_before_anything_runs(tmp_path, samplers, more, reason):
    made, faults = rows(tmp_path, samplers, **more)
    assert not made and len(faults) == 1 and reason in faults[0].sentence


@pytest.mark.parametrize("name", ["fast", "int8", "fp8"])
def test_a_choice_is_said_only_where_it_is_made_and_the_engine_reads_it(name):
    assert name not in make_request("mug", "mug.png", 1)["settings"]
    pytest.importorskip("torch")
    from espalier.engine.pipelines.job import choice

    for command, request in (
        ("generate", make_request("mug", "mug.png", 1, **{name: True})),
        ("texture", make_texture_request("mug", "mug.png", 1, {}, **{name: True})),
    ):
        assert not getattr(cli.parser().parse_args(COMMANDS[command]), name)
        assert getattr(cli.parser().parse_args([*COMMANDS[command], f"--{name}"]), name)
        assert choice(request, name)
