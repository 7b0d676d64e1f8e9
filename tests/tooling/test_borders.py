# SPDX-License-Identifier: GPL-3.0-or-later
"""Which part may import which: Blender's side never torch, the engine never bpy, between our modules only relative."""

import ast

import pytest
from espalier.tooling.console import ROOT

SOURCES = {
    part: sorted(path for path in (ROOT / part).rglob("*.py") if "__pycache__" not in path.parts)
    for part in ("addon", "engine", "tooling")
}
OURS = {"espalier", "addon", "engine", "tooling", "tests"}


def imports(path):
    """Yield (absolute dotted path inside the repository or of a foreign module, whether it is relative)."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, False) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            stem = ".".join([*base, *filter(None, [node.module])])
            yield from ((f"{stem}.{alias.name}".lstrip("."), bool(node.level)) for alias in node.names)


def modules(part):
    return [(path, name, relative) for path in SOURCES[part] for name, relative in imports(path)]


def is_in(name, *packages):
    return any(name == package or name.startswith(package + ".") for package in packages)


def test_the_add_on_never_imports_torch_nor_the_engine_beyond_its_messages():
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path, name, relative in modules("addon")
        if is_in(name, "torch", "safetensors", "scipy", "numba", "PIL")
        or (relative and is_in(name, "engine") and not is_in(name, "engine.protocol"))
    ]
    assert wrong == []


def test_the_engine_never_imports_blender_nor_the_add_on():
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path, name, relative in modules("engine")
        if is_in(name, "bpy", "bmesh", "mathutils") or (relative and is_in(name, "addon", "tooling", "tests"))
    ]
    assert wrong == []


def test_the_client_and_the_engine_link_know_no_blender():
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path, name, _ in modules("addon")
        if "client" in path.parts and is_in(name, "bpy", "numpy")
    ]
    assert wrong == []


@pytest.mark.parametrize("part", SOURCES)
def test_our_modules_import_each_other_relatively(part):
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path, name, relative in modules(part)
        if not relative and name.split(".")[0] in OURS
    ]
    assert wrong == []
