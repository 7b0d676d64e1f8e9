#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real Blender (application, with UI) on a Debian machine without screen or GPU.

  blender_root.py setup  [sid|trixie] [--update]
  blender_root.py run    [sid|trixie] -- <blender arguments>          (background)
  blender_root.py ui     [sid|trixie] --screenshot OUT.png --script S.py
                      [--size 1600x1000] [--wait SECONDS] [--timeout SECONDS]
                      [--backend opengl|vulkan] [--ui-scale 1.0] [-- <blender arguments>]
  blender_root.py exec   [sid|trixie] -- <command inside the root>
  blender_root.py info | clean [sid|trixie]

The root is the extracted dependency closure of Debian's `blender` (no maintainer
scripts run, nothing is installed on the host).  Every run happens in a private
mount namespace: /proc /dev /sys and the host's other top-level folders are
bind-mounted at the same paths, and go away with the process.

The script S.py given to `ui` may define `main(ui)`.  As a generator it is stepped
from a bpy.app.timers timer: `yield 0.5` lets Blender's event loop run half a second.
`ui` offers show_sidebar(), click(), shot(), find_color(), operator_buttons() ...
"""

import argparse
import contextlib
import fcntl
import hashlib
import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
ROOTS = Path(os.environ.get("BLENDER_ROOTS") or CACHE / "blender-roots")
COMMON = [
    "blender",
    "dash",
    "bash",
    "coreutils",
    "base-files",
    "libc-bin",
    "xvfb",
    "xdotool",
    "libgl1",
    "libegl1",
    "libgl1-mesa-dri",
    "libglx-mesa0",
    "mesa-vulkan-drivers",
    "python3-numpy",
    "python3-requests",
    "python3-zstandard",
]
# cattrs: bl_pkg of 5.x imports it (remote asset libraries) though the package does not depend on it
SUITES = {"sid": [*COMMON, "python3-cattr"], "trixie": COMMON}
DROP = [
    "./usr/share/doc/*",
    "./usr/share/man/*",
    "./usr/share/locale/*/*",
    "./usr/share/lintian/*",
    "./usr/share/info/*",
    "./usr/share/bug/*",
    "./usr/include/*",
]
# Of all translations only this one, for pictures of the extension in German among Blender's own words.
GERMAN = "./usr/share/locale/de/LC_MESSAGES/blender.mo"
NOT_SHARED = {
    "bin",
    "sbin",
    "lib",
    "lib32",
    "lib64",
    "libx32",
    "usr",
    "etc",
    "var",
    "boot",
    "run",
    "proc",
    "dev",
    "sys",
    "lost+found",
}


def say(*a):
    print("[blender-root]", *a, file=sys.stderr, flush=True)


def die(msg, code=1):
    say("ERROR:", msg)
    sys.exit(code)


# ------------------------------------------------------------------ setup
def mirror():
    """The Debian mirror of this machine, from its own apt configuration."""
    out = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"], capture_output=True, text=True
    ).stdout.split()
    for uri in out:
        if re.search(r"/debian/?$", uri):
            return uri
    die("no Debian mirror in the apt configuration of this machine")


def host_acquire():
    """How this machine fetches (proxies, date checks): its Acquire:: settings, to be used unchanged."""
    out = subprocess.run(["apt-config", "dump"], capture_output=True, text=True).stdout.splitlines()
    return [
        line
        for line in out
        if line.startswith("Acquire::")
        and not line.startswith(("Acquire::IndexTargets", "Acquire::Languages", "Acquire::GzipIndexes"))
    ]


def apt_env(suite):
    a = ROOTS / f".apt-{suite}"
    for d in (
        "etc/apt/apt.conf.d",
        "etc/apt/preferences.d",
        "etc/apt/sources.list.d",
        "etc/apt/trusted.gpg.d",
        "var/lib/apt/lists/partial",
        "var/lib/dpkg",
        "var/cache/apt/archives/partial",
    ):
        (a / d).mkdir(parents=True, exist_ok=True)
    (a / "var/lib/dpkg/status").touch()
    key = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (a / "etc/apt/sources.list").write_text(f"deb [signed-by={key}] {mirror()} {suite} main\n")
    arch = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True).stdout.strip()
    (a / "apt.conf").write_text(
        "\n".join(
            [
                *host_acquire(),
                f'Dir "{a}";',
                f'Dir::State::status "{a}/var/lib/dpkg/status";',
                f'APT::Architecture "{arch}";',
                f'APT::Architectures "{arch}";',
                'APT::Install-Recommends "false";',
                'Acquire::Languages "none";',
                'APT::Sandbox::User "root";',
                'Acquire::GzipIndexes "true";',
                'Acquire::Retries "3";',
                "",
            ]
        )
    )
    return a, {**os.environ, "APT_CONFIG": str(a / "apt.conf"), "LC_ALL": "C"}


def quiet(cmd, env):
    p = subprocess.run(cmd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if p.returncode:
        die(f"{cmd[0]} {cmd[1]} failed:\n" + re.sub(r"//[^/\s]+", "//HOST", p.stdout[-3000:]))
    return p.stdout


def add_german(suite, root):
    """Unpack Blender's own German unless it is there. Where the archive has gone, Blender has only the extension's."""
    archives = sorted((ROOTS / f".apt-{suite}/var/cache/apt/archives").glob("blender-data_*.deb"))
    if (root / GERMAN).exists() or not archives:
        return
    source = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(archives[-1])], stdout=subprocess.PIPE)
    subprocess.run(["tar", "-C", str(root), "--no-same-owner", "-xf", "-", GERMAN], stdin=source.stdout)
    source.wait()


def setup(suite, update=False):
    root = set_up_root(suite, update)
    add_german(suite, root)
    return root


def set_up_root(suite, update):
    root, want = ROOTS / suite, hashlib.sha1(" ".join(SUITES[suite] + DROP).encode()).hexdigest()
    mark = root / ".blender-root.json"

    def current():
        try:
            return json.loads(mark.read_text())["want"] == want
        except (OSError, ValueError, KeyError):
            return False

    if current() and not update:
        return root
    ROOTS.mkdir(parents=True, exist_ok=True)
    with open(ROOTS / f".lock-{suite}", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if current() and not update:
            return root
        t = [time.time()]
        a, env = apt_env(suite)
        quiet(["apt-get", "update"], env)
        t.append(time.time())
        quiet(["apt-get", "-y", "-q", "--download-only", "install"] + SUITES[suite], env)
        t.append(time.time())
        # only the archives of this very selection (older versions may lie in the cache)
        uris = quiet(
            ["apt-get", "-y", "-qq", "--print-uris", "-o", "Dir::Cache::archives=/nonexistent-blender-root", "install"]
            + SUITES[suite],
            env,
        )
        names = re.findall(r"^'[^']+' (\S+\.deb) ", uris, re.M)
        debs = [a / "var/cache/apt/archives" / n for n in names]
        missing = [d.name for d in debs if not d.exists()]
        if missing or not debs:
            die(f"archives missing: {missing[:5]} of {len(debs)}")
        for old in ROOTS.glob(f".new-{suite}-*"):  # left by a set-up that failed; we hold the lock
            shutil.rmtree(old, ignore_errors=True)
        new = Path(tempfile.mkdtemp(prefix=f".new-{suite}-", dir=ROOTS))
        new.chmod(0o755)
        for d in ("bin", "sbin", "lib", "lib64"):
            (new / "usr" / d).mkdir(parents=True, exist_ok=True)
            (new / d).symlink_to(f"usr/{d}")
        excl = [f"--exclude={x}" for x in DROP]

        def unpack(deb):
            src = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE)
            rc = subprocess.run(
                ["tar", "-C", str(new), "--keep-directory-symlink", "--no-same-owner", "-xf", "-", *excl],
                stdin=src.stdout,
            ).returncode
            return deb.name if src.wait() or rc else None

        with ThreadPoolExecutor(os.cpu_count() or 2) as ex:
            bad = [x for x in ex.map(unpack, debs) if x]
        if bad:
            die(f"could not unpack {bad}")
        t.append(time.time())
        for d in ("proc", "dev", "sys", "tmp", "run", "root", "etc", "var/tmp"):
            (new / d).mkdir(parents=True, exist_ok=True)
        (new / "tmp").chmod(0o1777)
        # what libblas3's and liblapack3's maintainer scripts would do with update-alternatives
        lib = next((new / "usr/lib").glob("*-linux-gnu"))
        (new / "etc/ld.so.conf.d").mkdir(parents=True, exist_ok=True)
        (new / "etc/ld.so.conf.d/zz-blas.conf").write_text(
            "".join(f"/usr/lib/{lib.name}/{d}\n" for d in ("blas", "lapack"))
        )
        for f in ("passwd", "group", "hosts", "resolv.conf", "nsswitch.conf"):
            with contextlib.suppress(OSError):
                shutil.copyfile(f"/etc/{f}", new / "etc" / f)
        certs = Path("/etc/ssl/certs/ca-certificates.crt")
        if certs.exists():
            (new / "etc/ssl/certs").mkdir(parents=True, exist_ok=True)
            shutil.copyfile(certs, new / "etc/ssl/certs/ca-certificates.crt")
        mid = "/etc/machine-id"
        (new / "etc/machine-id").write_text(Path(mid).read_text() if os.path.exists(mid) else "0" * 31 + "1\n")
        quiet(["chroot", str(new), "/usr/sbin/ldconfig"], dict(os.environ))
        ldd = subprocess.run(["chroot", str(new), "/usr/bin/ldd", "/usr/bin/blender"], capture_output=True, text=True)
        if "not found" in ldd.stdout:
            die("libraries missing:\n" + "\n".join(line for line in ldd.stdout.splitlines() if "not found" in line))
        ver = subprocess.run(["chroot", str(new), "/usr/bin/blender", "--version"], capture_output=True, text=True)
        if ver.returncode:
            die("blender --version failed: " + ver.stderr)
        t.append(time.time())
        info = {
            "want": want,
            "suite": suite,
            "blender": ver.stdout.splitlines()[0],
            "packages": len(debs),
            "deb_mib": sum(d.stat().st_size for d in debs) >> 20,
            "seconds": dict(
                zip(
                    ("apt update", "download", "unpack", "finish"),
                    [round(b - a_, 1) for a_, b in itertools.pairwise(t)],
                )
            ),
        }
        (new / ".blender-root.json").write_text(json.dumps(info))
        if root.exists():
            shutil.rmtree(root)  # never a mount point: mounts live in private namespaces
        new.rename(root)
        say(json.dumps(info))
    return root


# ------------------------------------------------------------------ entering
def enter(root, cmd, cwd=None):
    """argv that runs cmd inside root; exec all the way, so its pid is the command's own pid."""
    sh = ["set -e", f"R={shlex.quote(str(root))}"]
    for name in sorted(os.listdir("/")):
        if name in NOT_SHARED or not os.path.isdir("/" + name) or os.path.islink("/" + name):
            continue
        sh.append(f"mkdir -p $R/{shlex.quote(name)}; mount --rbind /{shlex.quote(name)} $R/{shlex.quote(name)}")
    for name in ("proc", "dev", "sys"):
        sh.append(f"mount --rbind /{name} $R/{name}")
    sh.append('exec chroot "$R" /usr/bin/env -C "$D" "$@"')
    return [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "--",
        "/bin/sh",
        "-c",
        "D=$1; shift; " + "; ".join(sh),
        "sh",
        str(cwd or os.getcwd()),
        *cmd,
    ]


def base_env(suite, extra=None):
    e = {k: v for k, v in os.environ.items() if not k.startswith(("PYENV", "PYTHON", "LD_"))}
    # Last the Python of this machine: Install Engine looks for one that Espalier has an engine for.
    e["PATH"] = f"/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:{sys.base_prefix}/bin"
    e["LANG"] = "C.UTF-8"
    # installs and saved preferences go here, with --factory-startup too: keep them out of the user's own folder
    e.setdefault("BLENDER_USER_RESOURCES", str(ROOTS / f"user-{suite}"))
    Path(e["BLENDER_USER_RESOURCES"]).mkdir(parents=True, exist_ok=True)
    e.update(extra or {})
    return e


def run(suite, args):
    root = setup(suite)
    if not (args and args[0] in ("-c", "--command", "-v", "--version", "-h", "--help")) and not {
        "-b",
        "--background",
    } & set(args):
        args = ["--background", *args]
    if "--python-exit-code" not in args and not {"-c", "--command"} & set(args):
        args = ["--python-exit-code", "1", *args]  # otherwise a failing --python script exits 0
    cmd = enter(root, ["/usr/bin/blender", *args])
    os.execvpe(cmd[0], cmd, base_env(suite))


def execute(suite, args):
    cmd = enter(setup(suite), args)
    os.execvpe(cmd[0], cmd, base_env(suite))


def main():
    argv = sys.argv[1:]
    rest = []
    if "--" in argv:
        i = argv.index("--")
        argv, rest = argv[:i], argv[i + 1 :]
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = ap.add_subparsers(dest="do", required=True)
    for n in ("setup", "run", "ui", "exec", "clean", "info"):
        p = sub.add_parser(n)
        p.add_argument("suite", nargs="?", default="sid", choices=list(SUITES))
        if n == "setup":
            p.add_argument("--update", action="store_true")
        if n == "ui":
            p.add_argument("--screenshot")
            p.add_argument("--script")
            p.add_argument("--size", default="1600x1000")
            p.add_argument("--wait", type=float, default=1.5)
            p.add_argument("--timeout", type=float, default=180)
            p.add_argument("--backend", default="opengl", choices=("opengl", "vulkan"))
            p.add_argument("--ui-scale", type=float, default=1.0)
            p.add_argument("--keep-prefs", action="store_true", help="no --factory-startup")
            p.add_argument("--keep", action="store_true", help="keep the scratch folder")
    o = ap.parse_args(argv)
    if os.geteuid():
        die("needs root (mount namespace and chroot)")
    if o.do == "setup":
        root = setup(o.suite, o.update)
        print(json.loads((root / ".blender-root.json").read_text())["blender"], "in", root)
    elif o.do == "run":
        run(o.suite, rest)
    elif o.do == "exec":
        execute(o.suite, rest)
    elif o.do == "ui":
        import window  # beside this file; it builds on what is here

        window.ui(o.suite, o, rest)
    elif o.do == "clean":
        for d in (ROOTS / o.suite, ROOTS / f".apt-{o.suite}"):
            shutil.rmtree(d, ignore_errors=True)
    elif o.do == "info":
        for s in SUITES:
            m = ROOTS / s / ".blender-root.json"
            print(s, m.read_text() if m.exists() else "not set up")


if __name__ == "__main__":
    main()
