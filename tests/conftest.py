# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads the checkout as the package ``espalier``, the same way the engine's bootstrap does."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def _load_package() -> None:
    if "espalier" in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(
        "espalier", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    package = importlib.util.module_from_spec(spec)
    sys.modules["espalier"] = package
    spec.loader.exec_module(package)


_load_package()


def pytest_addoption(parser):
    parser.addoption(
        "--golden",
        help="folder with the reference fixtures, compared tensor by tensor (default: the copy in tests/data/golden)",
    )


@pytest.hookimpl(tryfirst=True)  # before hypothesis itself takes a profile from the command line
def pytest_configure(config):
    from espalier.tests.parity.report import GoldenReport
    from hypothesis import HealthCheck, settings

    # The same drawn cases in every run, however fast the machine is. ``--hypothesis-profile=default`` draws others.
    settings.register_profile(
        "repeatable", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("repeatable")
    given = config.getoption("--golden")
    folder = Path(given) if given else ROOT / "tests" / "data" / "golden"
    if not any(folder.glob("*/case.json")):
        raise pytest.UsageError(f"{folder} holds no reference cases (folders with a case.json).")
    config.option.golden = str(folder)
    config.pluginmanager.register(GoldenReport(lines=given is not None), "golden-report")


@pytest.fixture(scope="session", autouse=True)
def own_temporary_folder(tmp_path_factory):
    """Keep the device lock of the engines that this run starts away from those of a user and of a run beside it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))
        yield


@pytest.fixture
def same_numbers_without_gradients():
    """Torch as a test of networks wants it."""
    import torch

    torch.manual_seed(0)
    with torch.no_grad():
        yield
