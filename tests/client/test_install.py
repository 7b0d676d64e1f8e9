"""Install Engine, with pip and virtual environments for real, from wheels that are made here."""

import base64
import hashlib
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from espalier.addon.client import ClientError, find_python
from espalier.addon.client import install as install_module
from espalier.addon.client.install import EngineInstall, download_bytes, lock_files, platform_name
from espalier.addon.client.process import environment_python
from espalier.tests.client.helpers import is_running, until

TAG = "cp{}{}".format(*sys.version_info[:2])
OTHER_TAG = "cp311" if TAG != "cp311" else "cp313"


def make_wheel(folder, name, source="__version__ = '1.0'\n"):
    """Write a wheel with one module and return its line in a lock file."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    files = {
        f"{name}/__init__.py": source,
        f"{name}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{name}-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for file, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{file},sha256={digest},{len(text)}\n"
    files[f"{name}-1.0.dist-info/RECORD"] = record + f"{name}-1.0.dist-info/RECORD,,\n"
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in files.items():
            wheel.writestr(file, text)
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@pytest.fixture
def wheelhouse(tmp_path, monkeypatch):
    """The lock file in an extension that carries the wheels of a tiny engine, on a machine without other Pythons."""
    monkeypatch.setattr(install_module.shutil, "which", lambda _name: None)
    folder = tmp_path / "extension" / "wheels"
    folder.mkdir(parents=True)
    lines = [make_wheel(folder, name) for name in ("numpy", "safetensors", "torch")]
    lock = folder / f"lock-{platform_name()}-{TAG}-cpu.txt"
    lock.write_text("# A tiny engine\n# download: 1 MB\n" + "".join(lines))
    return lock


@pytest.fixture
def install(wheelhouse, tmp_path):
    made = EngineInstall(tmp_path / "data", wheelhouse.parents[1], Path(sys.executable))
    yield made
    made.cancel()


def finish(install, seconds=240):
    """Poll to the end and return what was shown on the way."""
    shown = []
    end = time.monotonic() + seconds
    while not install.done:
        assert time.monotonic() < end
        if install.poll():
            shown.append((install.text, install.fraction))
        time.sleep(0.01)
    return shown


def test_it_makes_an_environment_from_the_carried_wheels_in_place_of_the_old_one(
    install, wheelhouse, tmp_path, monkeypatch
):
    """The first lock's torch is not to be had here, so the next lock serves."""
    monkeypatch.setattr(install_module.shutil, "which", lambda name: name if name == "nvidia-smi" else None)
    cuda = wheelhouse.read_text().replace("torch==1.0", "torch==2.0")
    wheelhouse.with_name(wheelhouse.name.replace("-cpu", "-cuda")).write_text(cuda)
    old = tmp_path / "data" / "engine"
    old.mkdir(parents=True)
    (old / "old").write_text("the engine that was there")
    (tmp_path / "data" / "engine-trash-0").mkdir()
    shown = finish(install)
    assert install.problem is None, install.problem
    assert "No matching distribution found for torch" in install.log_file.read_text()
    assert [fraction for _text, fraction in shown] == sorted(fraction for _text, fraction in shown)
    assert shown[-1] == ("Installed", 1.0) and ("Checking", 0.95) in shown
    python = find_python("", tmp_path / "data", tmp_path)
    assert python.origin == "managed"
    version = subprocess.run([python.path, "-I", "-c", "import torch; print(torch.__version__)"], capture_output=True)
    assert version.stdout.strip() == b"1.0"
    assert not (old / "old").exists()
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["engine", "logs"]


def test_the_new_engine_makes_a_first_object_so_that_the_first_job_need_not_wait_for_compilers(
    install, wheelhouse, tmp_path
):
    main = wheelhouse.parents[1] / "engine" / "__main__.py"
    main.parent.mkdir()
    told = tmp_path / "told"
    main.write_text(
        "import sys, torch, pathlib\n"
        "assert sys.argv[1:3] == ['doctor', '--self-test'], sys.argv\n"
        "pathlib.Path(sys.argv[3], 'job').mkdir()\n"
        f"pathlib.Path({str(told)!r}).write_text(sys.prefix)\n"
    )
    shown = finish(install)
    assert install.problem is None, install.problem
    assert told.read_text() == str(tmp_path / "data" / "engine")
    assert ("Making a first object", 0.97) in shown
    assert not list((tmp_path / "data" / "engine").glob("first*"))


def test_a_first_object_that_fails_or_hangs_leaves_the_engine_installed(install, wheelhouse, monkeypatch, tmp_path):
    monkeypatch.setattr(install_module, "_TRIAL_SECONDS", 4.0)
    main = wheelhouse.parents[1] / "engine" / "__main__.py"
    main.parent.mkdir()
    pid = tmp_path / "pid"
    source = f"import os, pathlib, time; pathlib.Path({str(pid)!r}).write_text(str(os.getpid())); time.sleep(600)"
    main.write_text(source)
    finish(install)
    assert install.problem is None and install.text == "Installed"
    assert find_python("", tmp_path / "data", tmp_path).origin == "managed"
    assert not is_running(int(pid.read_text()))


def test_a_package_with_another_hash_is_refused_and_the_old_engine_stays(install, wheelhouse, tmp_path):
    old = environment_python(tmp_path / "data" / "engine")
    old.parent.mkdir(parents=True)
    old.symlink_to(sys.executable)
    make_wheel(wheelhouse.parent, "torch", "import os\n")
    finish(install)
    assert install.problem.code == "bad_hash" and "refused" in install.problem.sentence
    assert find_python("", tmp_path / "data", tmp_path).path == old
    assert not (tmp_path / "data" / "engine-new").exists()
    assert Path(install.problem.log).read_text()


def test_an_engine_that_does_not_run_is_not_installed(install, wheelhouse, tmp_path):
    line = make_wheel(wheelhouse.parent, "torch", "raise ImportError('libcudart is missing')\n")
    lines = [kept for kept in wheelhouse.read_text().splitlines(keepends=True) if not kept.startswith("torch")]
    wheelhouse.write_text("".join([*lines, line]))
    finish(install)
    assert install.problem.code == "engine_check" and "libcudart is missing" in install.problem.hint
    assert find_python("", tmp_path / "data", tmp_path) is None


def test_cancel_leaves_nothing_behind(install, tmp_path):
    new = tmp_path / "data" / "engine-new"
    until(lambda: install.done or (install.text == "Making the environment" and new.exists()), install.poll)
    begun = time.monotonic()
    install.cancel()
    assert time.monotonic() - begun < 0.5
    assert install.done and install.cancelled and install.problem is None and not install.poll()
    until(lambda: [path.name for path in (tmp_path / "data").iterdir()] == ["logs"])


def test_a_second_blender_is_told_to_wait(install, wheelhouse, tmp_path):
    install.poll()
    other = EngineInstall(tmp_path / "data", wheelhouse.parents[1], Path(sys.executable))
    finish(other)
    assert other.problem.code == "busy"
    assert not install.done and (tmp_path / "data" / "engine-new.alive").exists()


def test_an_installation_whose_blender_was_killed_is_waited_for(wheelhouse, tmp_path):
    script = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
import fake_engine
from pathlib import Path
from espalier.addon.client.install import EngineInstall
class Slow(EngineInstall):
    def _run(self):
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        self._claim()
        yield from self._call([sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(60)"])
install = Slow(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.executable))
while True:
    install.poll()
    time.sleep(0.01)
"""
    data = tmp_path / "data"
    blender = subprocess.Popen([sys.executable, "-c", script, data, wheelhouse.parents[1]])
    log = data / "logs" / "install.log"
    last = until(lambda: log.exists() and [line for line in log.read_text().splitlines() if line.isdigit()])
    program = int(last[-1])
    blender.kill()
    blender.wait()
    try:
        second = EngineInstall(data, wheelhouse.parents[1], Path(sys.executable))
        finish(second)
        assert second.problem.code == "busy"
    finally:
        os.kill(program, signal.SIGKILL)
    until(lambda: not is_running(program))
    third = EngineInstall(data, wheelhouse.parents[1], Path(sys.executable))
    finish(third)
    assert third.problem is None and find_python("", data, tmp_path).origin == "managed"
    assert not (data / "engine-new.alive").exists()


def test_too_little_space_is_told_before_anything_is_fetched(install, wheelhouse):
    wheelhouse.write_text(wheelhouse.read_text().replace("1 MB", "90000000 MB"))
    finish(install)
    assert install.problem.code == "no_space" and "GB" in install.problem.sentence


def test_no_python_for_the_locks_is_told(install, wheelhouse):
    wheelhouse.rename(wheelhouse.with_name(wheelhouse.name.replace(TAG, OTHER_TAG)))
    finish(install)
    assert install.problem.code == "no_python"
    assert f"Install Python 3.{OTHER_TAG[3:]}" in install.problem.sentence


def test_a_platform_without_locks_is_told(install, wheelhouse):
    wheelhouse.unlink()
    finish(install)
    assert install.problem.code == "no_lock" and platform_name() in install.problem.sentence


def test_a_data_folder_that_forbids_writing_is_told(mounted, wheelhouse):
    install = EngineInstall(mounted("ro"), wheelhouse.parents[1], Path(sys.executable))
    finish(install)
    assert install.problem.code == "not_writable"


def test_platforms_are_named_as_the_lock_files_are():
    assert platform_name("Linux", "x86_64") == "linux-x86_64"
    assert platform_name("Windows", "AMD64") == "windows-x86_64"
    assert platform_name("Darwin", "arm64") == "macos-arm64"


def test_the_lock_files_of_the_repository_are_found_and_say_how_much_they_fetch():
    locks = lock_files(Path(__file__).parents[2])
    assert all(download_bytes(path) > 50_000_000 for paths in locks.values() for path in paths)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate is not yet valid",
            "Set date and time",
        ),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired", "Set date and time"),
        ("NewConnectionError: Failed to establish a new connection", "Check the connection"),
    ],
)
def test_a_clock_that_is_wrong_is_not_mistaken_for_a_bad_connection(install, said, told):
    with pytest.raises(ClientError, match=told):
        install._explain(install_module._Output(1, f"WARNING: Retrying\nERROR: {said}\n"))
