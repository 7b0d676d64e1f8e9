# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock files: complete, hashed, in step with requirements/, and silent about where packages come from."""

import importlib.metadata
import re
import sys

import pytest
from espalier.tooling import locks
from espalier.tooling.console import ROOT, CommandError
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCKS = sorted(locks.WHEELS.glob("lock-*.txt"))
REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt"))


def read_lock(path):
    """The pins of a lock file by name; every line of it has to be a pin with hashes."""
    pins = {}
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in filter(None, (line.partition("#")[0].strip() for line in text.splitlines())):
        match = re.fullmatch(r"([a-z0-9-]+)==(\S+?)((?:\s+--hash=sha256:[0-9a-f]{64})+)", line)
        assert match is not None, f"{path.name}: not a pin with hashes: {line[:80]}"
        pins[match[1]] = locks.Pin(match[1], match[2], tuple(re.findall(r"sha256:([0-9a-f]{64})", match[3])))
    return pins


def requirements(name):
    lines = (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def is_released_as(version, pin):
    return pin.version.partition("+")[0] == version


def test_every_platform_and_python_has_a_lock():
    for platform_name in locks.PLATFORMS:
        for python in locks.PYTHONS:
            assert locks.locks_to_try(platform_name, locks.tag_of(python), nvidia=False)


def test_a_graphics_card_decides_which_lock_comes_first():
    first = {nvidia: locks.locks_to_try("linux-x86_64", "cp311", nvidia)[0].stem for nvidia in (True, False)}
    assert first[True].endswith("-cuda") and first[False].endswith("-cpu")


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_lock_pins_what_the_engine_requires(lock):
    pins = read_lock(lock)
    assert all(pin.hashes for pin in pins.values())
    assert 100e6 < locks.download_size(lock) < 5e9
    tag = lock.stem.split("-")[-2]
    environment = {"python_version": f"{tag[2]}.{tag[3:]}"}
    for wanted in requirements("engine.txt"):
        if wanted.marker is None or wanted.marker.evaluate(environment):
            (version,) = (specifier.version for specifier in wanted.specifier)
            assert is_released_as(version, pins[canonicalize_name(wanted.name)]), wanted


@pytest.mark.parametrize("path", [*LOCKS, *REQUIREMENTS], ids=lambda path: path.name)
def test_no_file_says_where_packages_come_from(path):
    assert not re.search(r"://|index|find-links\s", path.read_text(encoding="utf-8").replace("(pip's find-links)", ""))


def test_the_lock_of_this_machine_is_closed_under_dependencies():
    candidates = locks.locks_to_try(locks.this_platform(), "cp311", nvidia=False)
    torch_version = importlib.metadata.version("torch")
    pins = next((p for p in map(read_lock, candidates) if p["torch"].version == torch_version), None)
    if pins is None:
        pytest.skip(f"no lock file has torch {torch_version}")
    for pin in pins.values():
        for text in importlib.metadata.requires(pin.name) or []:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                assert canonicalize_name(needed.name) in pins, f"{pin.name} needs {needed.name}"


def test_tools_do_not_pin_engine_packages_to_other_versions():
    pins = read_lock(locks.lock_path("linux-x86_64", "cp311", "cuda"))
    for wanted in requirements("develop.txt"):
        name = canonicalize_name(wanted.name)
        assert name not in pins or f"=={pins[name].version}" == str(wanted.specifier)


def test_missing_python_is_said_with_what_to_do(monkeypatch):
    from espalier.tooling import environment

    monkeypatch.setattr(environment.sys, "version_info", (3, 12, 1))
    monkeypatch.setattr(environment.shutil, "which", lambda _: None)
    with pytest.raises(CommandError, match=r"Python 3\.11 was not found.*install Python 3\.11"):
        environment._find_python()


def test_the_engine_imports_only_what_its_lock_installs():
    providers = importlib.metadata.packages_distributions()
    pins = read_lock(locks.lock_path("linux-x86_64", "cp311", "cuda"))
    # Making training data and training are for a checkout, whose environment has more.
    sources = [path for path in (ROOT / "engine").rglob("*.py") if not {"starter", "training"} & set(path.parts)]
    missing = set()
    for path in sources:
        for name in re.findall(r"^\s*(?:import|from) ([a-z_A-Z0-9]+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            if name not in sys.stdlib_module_names:
                names = {canonicalize_name(found) for found in providers.get(name, [name])}
                if not names & set(pins):
                    missing.add(f"{path.relative_to(ROOT)}: {name}")
    assert missing == set()
