# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension package: only what Blender needs, as Blender's own builder lists it, and all of it importable."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from espalier.tooling import package
from espalier.tooling.console import ROOT, CommandError

IMPORT_ALL = """
import importlib, importlib.util, pkgutil, sys
root = sys.argv[1]
spec = importlib.util.spec_from_file_location("packed", root + "/__init__.py", submodule_search_locations=[root])
module = importlib.util.module_from_spec(spec)
sys.modules["packed"] = module
spec.loader.exec_module(module)
names = [found.name for found in pkgutil.walk_packages([root], "packed.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(len(names))
"""


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    target = tmp_path_factory.mktemp("package") / "espalier.zip"
    package.write_package(target)
    return target


def test_package_holds_the_product_and_nothing_of_its_making(packed):
    names = zipfile.ZipFile(packed).namelist()
    assert names[0] == "blender_manifest.toml"
    assert {"__init__.py", "LICENSE", "engine/__main__.py", "addon/registration.py"} <= set(names)
    assert any(name.startswith("wheels/lock-") for name in names)
    unwanted = ("tests/", "docs/", "tooling/", "build/", "dist/", "requirements/", "build.py", "pyproject.toml", ".")
    assert [name for name in names if name.startswith(unwanted) or "__pycache__" in name] == []


def test_same_files_give_the_same_bytes(packed, tmp_path):
    again = tmp_path / "again.zip"
    package.write_package(again)
    assert again.read_bytes() == packed.read_bytes()


@pytest.mark.blender
def test_blender_packs_the_same_files(packed, tmp_path):
    scripts = Path(pytest.importorskip("bpy").utils.system_resource("SCRIPTS"))
    builder = scripts / "addons_core" / "bl_pkg" / "cli" / "blender_ext.py"
    command = [sys.executable, builder, "build", "--source-dir", ROOT, "--output-filepath", tmp_path / "theirs.zip"]
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    theirs = zipfile.ZipFile(tmp_path / "theirs.zip").namelist()
    assert sorted(name for name in theirs if not name.endswith("/")) == sorted(zipfile.ZipFile(packed).namelist())


@pytest.mark.blender
@pytest.mark.slow
def test_every_packed_module_imports(packed, tmp_path):
    pytest.importorskip("bpy")
    zipfile.ZipFile(packed).extractall(tmp_path)
    done = subprocess.run([sys.executable, "-I", "-c", IMPORT_ALL, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20


@pytest.mark.parametrize(
    "path, patterns, excluded",
    [
        ("build/", ["/build/"], True),
        ("engine/build/", ["/build/"], False),
        ("a/b/__pycache__/", ["__pycache__/"], True),
        ("build", ["/build/"], False),
        (".gitignore", ["/.*"], True),
        ("a/b.pyc", ["*.pyc"], True),
        ("tests/ui/", ["tests/ui/"], True),
        ("wheels/lock.txt", ["*.whl"], False),
    ],
)
def test_patterns_follow_gitignore(path, patterns, excluded):
    assert package.is_excluded(path, patterns) is excluded


def test_pattern_beyond_the_builder_is_refused():
    with pytest.raises(CommandError, match="not one this builder knows"):
        package.is_excluded("a", ["!a"])


def test_module_that_does_not_compile_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("addon/broken.py", "def (")
    with pytest.raises(CommandError, match=r"addon/broken\.py does not compile"):
        package.check_package(tmp_path / "bad.zip")
