# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds what people read in Blender: in the classes as Blender knows them, and in the sources, without running them."""

import ast
import inspect
import itertools
import re
import textwrap
from pathlib import Path

import bpy
from espalier.addon import ids, registration

ROOT = Path(__file__).resolve().parents[2]
HELPERS = ("iface_", "tip_", "rpt_")
# The rest of the add-on: what makes sentences that the interface shows with ``told``, and what shows nothing there (the
# command line speaks English).
OTHERS = ("client", "commands", "languages", "presets", "scene", "cli.py")
TELLERS = (
    "addon/client/*.py",
    "addon/scene/*.py",
    "engine/*.py",
    "engine/conditioning/*.py",
    "engine/kernels/choice.py",
    "engine/mesh/**/*.py",
    "engine/models/*.py",
    "engine/ovoxel/*.py",
    "engine/pipelines/*.py",
    "engine/sparse/*.py",
    "engine/weights/*.py",
)
# What only the command line, developers, or files of voxels given on the command line get to hear.
SILENT = (
    "addon/scene/export.py",
    "addon/scene/formats.py",
    "addon/scene/handover.py",
    "addon/scene/library.py",
    "addon/scene/open_mesh.py",
    "addon/scene/shading.py",
    "engine/__main__.py",
    "engine/bench.py",
    "engine/convert.py",
    "engine/protocol.py",
    "engine/ovoxel/grid.py",
    "engine/ovoxel/material.py",
    "engine/ovoxel/npz.py",
    "engine/ovoxel/ovoxel_file.py",
    "engine/ovoxel/texture.py",
    "engine/ovoxel/textured_mesh.py",
    "engine/ovoxel/voxels.py",
    "engine/ovoxel/vxz.py",
    "engine/weights/random_set.py",
)
# In the self-test, whose findings are parts of sentences: what does not get into them.
SILENT_CALLS = ("ArgumentParser", "add_argument", "error", "hold")
# Calls that put the end of a sentence to its beginning, and where that end stands.
ENDS = {"unusable_file": 1, "problem": 0, "_refuse": 1, "_too_large": 1}


def interface_files():
    """The modules of the add-on whose literals are shown as they stand; the command line speaks English."""
    for path in sorted((ROOT / "addon").rglob("*.py")):
        if path.relative_to(ROOT / "addon").parts[0] not in OTHERS:
            yield path


def literals(path):
    """``(node, text, parents)`` of each string of a module that is no docstring, with the nodes around it, outermost
    first. The values of an f-string become ``{0}``, ``{1}``.
    """
    yield from _walk(ast.parse(path.read_text(encoding="utf-8")), ())


def _walk(node, parents):
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node, node.value, parents
    elif isinstance(node, ast.JoinedStr):
        yield node, _template(node), parents
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                yield from _walk(part.value, (*parents, node))
    else:
        for child in ast.iter_child_nodes(node):
            is_docstring = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
            if not is_docstring:
                yield from _walk(child, (*parents, node))


def _template(joined):
    parts, count = [], 0
    for part in joined.values:
        if isinstance(part, ast.Constant):
            parts.append(part.value)
        else:
            parts.append(f"{{{count}}}")
            count += 1
    return "".join(parts)


def reads_as_words(text):
    """Whether a person may be meant: a word that begins with a capital letter, or several words."""
    return bool(re.search(r"[a-z]", text)) and (" " in text.strip() or bool(re.match(r"[A-Z“][a-z]{2}", text)))


def is_sentence(text):
    """Whether a text is a sentence: some words from a capital letter, a quotation or a value to a full stop."""
    return bool(re.match(r"[A-Z“{]", text)) and text.endswith(".") and len(re.findall(r"[A-Za-z]{2,} ", text)) > 1


def called(node):
    """The last name of what a call calls."""
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def interface_words():
    """``{(context, text): where}`` of the literals of the interface and of the classes that Blender knows."""
    found, shown = {}, set()
    for path in interface_files():
        for node, text, parents in literals(path):
            wanted = reads_as_words(text) or _is_for_helper(node, parents)
            if wanted and not isinstance(node, ast.JoinedStr) and not _is_in_class_body(parents):
                where = f"{path.relative_to(ROOT)}:{node.lineno}"
                key = _context(node, parents), text
                if not _is_in_table(parents):
                    shown.add(key)
                found.setdefault(key, where)
    for path in (ROOT / "addon" / "presets").rglob("*.py"):
        # Blender's menu of presets shows the names of their files.
        found["*", bpy.path.display_name(path.name)] = path.name
    classes = {key: where for cls in registration.CLASSES for key, where in _of_class(cls)}
    # The tables that such properties are made of are not shown otherwise.
    own = {("*", text) for context, text in classes if context == ids.CONTEXT}
    return {**{key: where for key, where in found.items() if key in shown or key not in own}, **classes}


def _is_in_table(parents):
    """Whether a literal stands outside of every function and class."""
    return not any(isinstance(parent, ast.FunctionDef | ast.ClassDef) for parent in parents)


def _is_for_helper(node, parents):
    """Whether a literal is given to a function that translates it, also as one of two."""
    calls = [parent for parent in parents if isinstance(parent, ast.Call)]
    if not calls or called(calls[-1]) not in HELPERS or not calls[-1].args:
        return False
    return any(node is part for part in ast.walk(calls[-1].args[0]))


def _is_in_class_body(parents):
    """Whether Blender's own description of the class has it: what is assigned in a class's body."""
    pairs = itertools.pairwise(parents)
    return any(isinstance(a, ast.ClassDef) and isinstance(b, ast.Assign | ast.AnnAssign) for a, b in pairs)


def _context(node, parents):
    """Blender looks for the text of an operator's button among the labels of operators."""
    calls = [parent for parent in parents if isinstance(parent, ast.Call)]
    if calls and called(calls[-1]) in HELPERS:
        return "*"
    for call in calls:
        if called(call) == "operator":
            given = {keyword.arg: keyword.value for keyword in call.keywords}
            if "text" in given and any(node is part for part in ast.walk(given["text"])):
                return ids.CONTEXT if "text_ctxt" in given else "Operator"
    return "*"


def operator_of(cls):
    """What ``bpy.ops`` has for an operator's class."""
    return getattr(bpy.ops.espalier, cls.bl_idname.partition(".")[2])


def _written_label(cls):
    """The label in the class's source: Blender gives a panel of presets the name of the one that was chosen last."""
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0].body
    for statement in body:
        if isinstance(statement, ast.Assign) and statement.targets[0].id == "bl_label":
            return ast.literal_eval(statement.value)
    return cls.bl_label


def _of_class(cls):
    where = cls.__name__
    if issubclass(cls, bpy.types.Operator):
        yield ("Operator", cls.bl_label), where
        yield ("*", cls.bl_description), where
    elif hasattr(cls, "bl_label"):
        yield ("*", _written_label(cls)), where
    properties = cls.bl_rna.properties
    if issubclass(cls, bpy.types.Operator):
        properties = operator_of(cls).get_rna_type().properties
    own = {
        name for base in cls.__mro__ if "espalier" in base.__module__ for name in getattr(base, "__annotations__", ())
    }
    for prop in properties:
        if prop.identifier not in own or prop.is_hidden or prop.name == prop.identifier:
            continue
        items = prop.enum_items if prop.type == "ENUM" else ()
        for text in (prop.name, prop.description, *(text for item in items for text in (item.name, item.description))):
            if text:
                yield (prop.translation_context, text), f"{where}.{prop.identifier}"


def teller_files():
    """The modules whose sentences the interface shows with ``told``."""
    for pattern in TELLERS:
        for path in sorted(ROOT.glob(pattern)):
            if path.relative_to(ROOT).as_posix() not in SILENT:
                yield path


def told_sentences():
    """``{text: where}`` of the sentences that client, scene and engine make, and of the ends of such."""
    found = {}
    for path in teller_files():
        for node, text, parents in literals(path):
            if _is_told(path, node, text, parents):
                found.setdefault(text, f"{path.relative_to(ROOT)}:{node.lineno}")
    return found


def _is_told(path, node, text, parents):
    calls = [parent for parent in parents if isinstance(parent, ast.Call)]
    if any(called(call) == "append" and ast.unparse(call.func.value).endswith("events") for call in calls):
        # For result.json.
        return False
    if any(called(call) == "write" for call in calls):
        # Into a log.
        return False
    place = ENDS.get(called(calls[-1])) if calls else None
    if place is not None and any(node is part for arg in calls[-1].args[place : place + 1] for part in ast.walk(arg)):
        return True
    if path.name.startswith("doctor") and not any(called(call) in SILENT_CALLS for call in calls):
        return " " in text.strip() and bool(re.search(r"[a-z]{2}", text))
    is_progress = path.name == "install.py" and any(
        isinstance(parent, ast.Assign) and "self.text" in ast.unparse(parent.targets[0]) for parent in parents
    )
    return is_sentence(text) or (is_progress and reads_as_words(text))


def all_told():
    """Every literal of the modules that make sentences; the parts of sentences are among them."""
    return {text for path in teller_files() for _, text, _ in literals(path)}


def f_strings_with_words():
    """``{where: text}`` of the f-strings of the interface that hold words, and of texts put together otherwise."""
    found = {}
    for path in interface_files():
        for node, text, parents in literals(path):
            where = f"{path.relative_to(ROOT)}:{_function(parents)}"
            bare = re.sub(r"\{\d\}", "", text)
            is_f_string = isinstance(node, ast.JoinedStr) and re.search(r"[A-Za-z]{2}", bare)
            if is_f_string or (reads_as_words(text) and parents and _is_put_together(node, parents)):
                found[where] = text
    return found


def _is_put_together(node, parents):
    above = parents[-1]
    if isinstance(above, ast.BinOp):
        return isinstance(above.op, ast.Add | ast.Mod)
    return isinstance(above, ast.Attribute) and above.attr in ("format", "join")


def _function(parents):
    names = [parent.name for parent in parents if isinstance(parent, ast.FunctionDef | ast.ClassDef)]
    return ".".join(names)


TRANSLATING = (*HELPERS, "told", "reported")
# Functions of ours whose results are translated already.
MADE = ("describe", "summary", "break_lines", "put_texture", "_replace")
# What is reported, or shown with ``translate=False``, and is of no language, with the reason.
NO_TEXT = {
    "addon/ui/advanced_panel.py: f'{own:g}'": "a number",
    "addon/ui/jobs.py: job.name": "a name",
    "addon/ui/jobs.py: item.name": "a name",
    "addon/ui/jobs.py: entry.job.name": "a name",
    "addon/ui/preferences_panel.py: str(python.path)": "a path",
    "addon/ui/preferences_panel.py: ' · '.join(filter(None, [megabytes(size) if size else '', licences]))": "names",
    "addon/operators/logs.py: str(path)": "a path",
    "addon/operators/models.py: f'{name}, {megabytes(size)}' if size > 0 else name": "the name of a model",
    "addon/operators/results.py: str(job.folder)": "a path",
}


def untranslated():
    """Files and expressions of what is shown but is translated neither by Blender nor by our functions."""
    found = set()
    for path in interface_files():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
                for shown in _bare_texts(call):
                    if not _is_translated(shown, function):
                        found.add(f"{path.relative_to(ROOT)}: {ast.unparse(shown)}")
    return found


def _bare_texts(call):
    """The texts of a call that stay as they are given: all but literals for ``report``, which Blender translates."""
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if called(call) == "poll_message_set":
        yield call.args[0]
    elif called(call) == "report" and len(call.args) > 1 and not isinstance(call.args[1], ast.Constant):
        yield call.args[1]
    elif "text" in given and getattr(given.get("translate"), "value", True) is False:
        yield given["text"]


def _is_translated(shown, function):
    """Whether a translating function has made an expression, directly or through a local name."""
    names = {node.id for node in ast.walk(shown) if isinstance(node, ast.Name)}
    makers = [shown]
    for node in ast.walk(function):
        if isinstance(node, ast.Assign | ast.For):
            target, value = (node.target, node.iter) if isinstance(node, ast.For) else (node.targets[0], node.value)
            if any(isinstance(part, ast.Name) and part.id in names for part in ast.walk(target)):
                makers.append(value)
    calls = (part for maker in makers for part in ast.walk(maker) if isinstance(part, ast.Call))
    return any(called(call) in (*TRANSLATING, *MADE) for call in calls)
