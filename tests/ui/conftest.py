# SPDX-License-Identifier: GPL-3.0-or-later
"""The real Blender application with the extension installed from its zip, and an engine beside it."""

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TOOL = HERE / "blender_root.py"
STARTER = ROOT / "engine" / "starter" / "weights"
# Far outside the seeds of the training and evaluation sets. From where the object is pictured, in degrees.
UNSEEN, YAW, ELEVATION = 8_400_004, 15, 18


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/ui" in item.path.as_posix():
            item.add_marker(pytest.mark.ui)


def reason_to_skip():
    """Why the application cannot be set up here; "" when it can."""
    told = os.environ.get("ESPALIER_NO_BLENDER", "")
    if told:
        return told
    if platform.system() != "Linux" or not Path("/etc/debian_version").exists():
        return "the real Blender is set up from Debian's packages, and this is no Debian"
    if os.geteuid() != 0:
        return "setting up the real Blender needs root (mount namespace and chroot)"
    return ""


class Blender:
    """One Blender release with a user folder of its own, in which the extension's zip is installed."""

    def __init__(self, suite, folder, data=None):
        self.suite, self.folder = suite, folder
        self.user, self.data = folder / "user", data or folder / "share"

    def set_up(self):
        """Fetch and unpack the release unless it is there; skips the test with the reason when that fails."""
        done = self._call(["setup", self.suite], timeout=900, check=False)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            pytest.skip(f"Blender from Debian {self.suite} could not be set up: {reason}")

    def run(self, *arguments, timeout=600, check=True):
        """Run ``blender`` with these arguments in background; return the finished process, output as text."""
        return self._call(["run", self.suite, "--", *map(str, arguments)], timeout, check)

    def window(self, script, screenshot, timeout=900, size="1600x1000", **environment):
        """Run ``main(ui)`` of a script in a window; its exceptions fail the test with the output."""
        arguments = ["ui", self.suite, "--keep-prefs", "--script", str(script), "--screenshot", str(screenshot)]
        return self._call([*arguments, "--size", size, "--timeout", str(timeout)], timeout + 60, True, environment)

    def _call(self, arguments, timeout, check, environment=None):
        # Data folder, caches and temporary files of the user must not decide what a test sees.
        env = {**os.environ, "BLENDER_USER_RESOURCES": str(self.user), "XDG_DATA_HOME": str(self.data)}
        env.update(environment or {})
        command = [sys.executable, str(TOOL), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=env, cwd=self.folder)
        if check and done.returncode:
            pytest.fail(
                f"{' '.join(arguments)} ended with {done.returncode}\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
            )
        return done


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """The zip that Blender's own builder makes of the checkout."""
    skip = reason_to_skip()
    if skip:
        pytest.skip(skip)
    folder = tmp_path_factory.mktemp("package")
    blender = Blender("sid", folder)
    blender.set_up()
    blender.run("--command", "extension", "build", "--source-dir", ROOT, "--output-dir", folder)
    (zip_file,) = folder.glob("espalier-*.zip")
    return zip_file


@pytest.fixture(scope="session")
def installed(package, tmp_path_factory):
    """Return a function that installs the zip in the Blender of a suite, once; it skips where that cannot be set up."""
    made = {}

    def install(suite):
        if suite not in made:
            blender = Blender(suite, tmp_path_factory.mktemp(suite))
            blender.set_up()
            blender.run("--command", "extension", "validate", package)
            blender.run("--command", "extension", "install-file", "-r", "user_default", "-e", package)
            extension = blender.user / "extensions" / "user_default" / "espalier"
            if not (STARTER / "pipeline.json").is_file():
                _tiny_starter(extension / "engine" / "starter" / "weights")
            made[suite] = blender
        return made[suite]

    return install


@pytest.fixture(scope="session")
def newest(installed):
    """Blender 5.2 with the extension installed and enabled."""
    return installed("sid")


@pytest.fixture(scope="session", params=["sid", "trixie"], ids=["blender-5.2", "blender-4.3"])
def blender(request, installed):
    """Blender 5.2 and 4.3, each with the extension installed and enabled."""
    return installed(request.param)


@pytest.fixture(scope="session")
def engine_python():
    """A Python with torch that both Blenders can start: the one that runs the tests."""
    if importlib.util.find_spec("torch") is None:
        pytest.skip("this environment has no torch to run the engine with")
    real = Path(sys.executable).resolve()
    if real.is_relative_to("/usr"):
        pytest.skip(f"the engine's Python {real} is not visible inside Blender's root")
    return sys.executable


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    """A picture that no model was trained on and no demo shows: a round little house, from the front and above."""
    path = tmp_path_factory.mktemp("image") / "little house.png"
    paint(UNSEEN, "house", path)
    return path


@pytest.fixture(scope="session")
def twins(tmp_path_factory):
    """A picture of a vase in two colours and its mesh without them, ``vertices`` and ``faces`` in an .npz file."""
    import numpy as np

    folder = tmp_path_factory.mktemp("twins")
    vase = paint(UNSEEN + 1, "vase", folder / "painted vase.png")
    np.savez(folder / "vase.npz", vertices=vase.vertices, faces=vase.faces)
    return folder / "painted vase.png", folder / "vase.npz"


def paint(seed, family, path):
    """Write the picture of an object of the training set's families, and return the object."""
    from espalier.engine.starter.asset import make_asset
    from espalier.engine.starter.preview import render_picture, view_camera

    asset = make_asset(seed, family)
    render_picture(asset, view_camera(asset, YAW, ELEVATION), 512, seed).save(path)
    return asset


def _tiny_starter(folder):
    from espalier.tests.tiny_set import write_tiny_set

    shutil.rmtree(folder, ignore_errors=True)
    write_tiny_set(folder)
