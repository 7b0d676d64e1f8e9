# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension comes and goes without a trace, quickly, and never brings torch into Blender."""

import subprocess
import sys
from pathlib import Path

import bpy
import espalier
import pytest
from espalier.addon import ids, registration

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def registered():
    espalier.register()
    yield
    espalier.unregister()


def test_registering_twice_in_a_row_leaves_nothing_behind():
    for _ in range(2):
        espalier.register()
        assert hasattr(bpy.types.Scene, "espalier") and hasattr(bpy.types, ids.PT_MAIN)
        espalier.unregister()
        assert not hasattr(bpy.types.Scene, "espalier") and not hasattr(bpy.types, ids.PT_MAIN)
    handlers = [handler for handler in bpy.app.handlers.load_post if "espalier" in handler.__module__]
    assert not handlers


def test_registration_takes_at_most_three_tenths_of_a_second_and_no_heavy_module():
    code = """
import importlib.util, sys, time, bpy
spec = importlib.util.spec_from_file_location("espalier", sys.argv[1], submodule_search_locations=[sys.argv[2]])
sys.modules["espalier"] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
before = set(sys.modules)
started = time.thread_time()
module.register()
seconds = time.thread_time() - started
print(f"RESULT {seconds:.3f}", sorted({"torch", "scipy", "PIL"} & (set(sys.modules) - before)))
module.unregister()
"""
    arguments = [sys.executable, "-c", code, str(ROOT / "__init__.py"), str(ROOT)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    print(line)
    _, seconds, modules = line.split(maxsplit=2)
    assert modules == "[]", done.stderr
    # Processor time, which other programs on the machine lengthen little.
    assert float(seconds) < 0.5


def test_every_operator_and_property_says_what_it_does_in_a_sentence(registered):
    for cls in registration.CLASSES:
        if issubclass(cls, bpy.types.Operator):
            text = cls.bl_description
            assert len(text.split()) >= 3 and not text.endswith("."), cls
    settings = bpy.types.Scene.bl_rna.properties["espalier"].fixed_type
    for cls in (settings, settings.properties["finish"].fixed_type):
        for prop in cls.properties:
            if prop.identifier not in {"rna_type", "name"} and not prop.is_hidden and prop.type != "POINTER":
                assert prop.description and not prop.description.endswith("."), prop.identifier


def test_identifiers_follow_blenders_naming(registered):
    for cls in registration.CLASSES:
        if issubclass(cls, bpy.types.Operator):
            assert cls.__name__ == cls.bl_idname.replace("espalier.", "ESPALIER_OT_")
        elif issubclass(cls, bpy.types.Panel):
            assert cls.__name__ == cls.bl_idname


def test_size_is_kept_in_metres_and_shown_in_scene_units(registered):
    scene = bpy.context.scene
    scene.unit_settings.scale_length = 0.01
    assert scene.espalier.size == pytest.approx(100.0)
    scene.espalier.size = 250.0
    assert scene.espalier.size_metres == pytest.approx(2.5)
