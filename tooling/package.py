# SPDX-License-Identifier: GPL-3.0-or-later
"""``build.py extension``: the checkout as a zip that Blender installs, the same bytes for the same files."""

from __future__ import annotations

import fnmatch
import os
import shutil
import subprocess
import tomllib
import zipfile
from pathlib import Path

from . import environment
from .console import DIST, ROOT, CommandError, clean_environment, megabytes, say

MANIFEST = "blender_manifest.toml"
# What every Blender builder leaves out whether the manifest names it or not.
NEVER = ["__pycache__/", "/.git/", "/*.zip"]


def read_manifest(root: Path = ROOT) -> dict:
    """The extension's manifest; raises CommandError when it lacks what naming the package needs."""
    manifest = tomllib.loads((root / MANIFEST).read_text(encoding="utf-8"))
    for key in ("schema_version", "id", "version", "name", "type", "blender_version_min", "license"):
        if key not in manifest:
            raise CommandError(f"{MANIFEST} has no '{key}'.")
    return manifest


def is_excluded(path: str, patterns: list[str]) -> bool:
    """Whether ``path`` (relative, forward slashes, a folder ends in one) matches, by the gitignore rules that we use.

    A leading slash ties a pattern to the root, a trailing one means folders only, each component is a glob.
    Raises CommandError for a pattern outside these rules rather than packing by a guess.
    """
    parts = path.rstrip("/").split("/")
    for pattern in patterns:
        if pattern.startswith("!") or "**" in pattern:
            raise CommandError(
                f"{MANIFEST}: the pattern '{pattern}' in paths_exclude_pattern is not one this builder knows."
            )
        wanted = pattern.strip("/").split("/")
        if pattern.endswith("/") and not path.endswith("/"):
            continue
        tail = parts if pattern.startswith("/") else parts[-len(wanted) :]
        if len(tail) == len(wanted) and all(fnmatch.fnmatchcase(part, glob) for part, glob in zip(tail, wanted)):
            return True
    return False


def package_files(root: Path = ROOT) -> list[str]:
    """The files that belong in the package, relative to ``root`` with forward slashes, sorted."""
    patterns = [*read_manifest(root).get("build", {}).get("paths_exclude_pattern", []), *NEVER]
    found = []
    for parent, folders, names in os.walk(root):
        inside = Path(parent).relative_to(root).as_posix()
        prefix = "" if inside == "." else inside + "/"
        folders[:] = sorted(name for name in folders if not is_excluded(f"{prefix}{name}/", patterns))
        found += [prefix + name for name in names if not is_excluded(prefix + name, patterns)]
    return sorted(found)


def write_package(target: Path, root: Path = ROOT) -> list[str]:
    """Write the zip ``target`` (manifest first, fixed dates, so equal files give equal bytes); return what is in it."""
    names = package_files(root)
    names.sort(key=lambda name: (name != MANIFEST, name))
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".part")
    with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in names:
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, (root / name).read_bytes())
    unfinished.replace(target)
    return names


def _blender_validator() -> list[str] | None:
    """The command that checks a package as Blender does: the bpy wheel's script, or an installed Blender."""
    scripts = sorted(environment.ENVIRONMENT.glob("**/bpy/*/scripts/addons_core/bl_pkg/cli/blender_ext.py"))
    if scripts:
        return [str(environment.python_path()), str(scripts[-1]), "validate"]
    blender = shutil.which("blender")
    return [blender, "--command", "extension", "validate"] if blender else None


def check_package(package: Path) -> str:
    """Read the package back, compile every module in it, and let Blender's own validator judge it where there is one.

    Returns how it was checked. Raises CommandError with the first thing wrong.
    """
    with zipfile.ZipFile(package) as archive:
        for name in archive.namelist():
            if name.endswith(".py"):
                try:
                    compile(archive.read(name), name, "exec")
                except SyntaxError as error:
                    raise CommandError(f"{package.name}: {name} does not compile: {error}") from error
    validator = _blender_validator()
    if validator is None:
        return "every module compiles (Blender's own validator was not found: run a test or the demo once to have it)"
    done = subprocess.run([*validator, str(package)], capture_output=True, text=True, env=clean_environment())
    if done.returncode:
        raise CommandError(f"Blender does not accept {package.name}:\n{done.stdout.strip()}\n{done.stderr.strip()}")
    return "every module compiles, and Blender's validator accepts it"


def main() -> int:
    """Write, check and announce the package."""
    manifest = read_manifest()
    package = DIST / f"{manifest['id']}-{manifest['version']}.zip"
    names = write_package(package)
    how = check_package(package)
    say(f"{package.relative_to(ROOT)}: {len(names)} files, {megabytes(package.stat().st_size)}; {how}.")
    return 0
