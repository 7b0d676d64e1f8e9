# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory of a container counts, not that of the machine around it."""

import sys

import pytest
from espalier.engine import machine
from espalier.engine.container_memory import memory_limits

MIB = 1 << 20


def write(root, groups, files):
    """A file system with /proc/self/cgroup and files below /sys/fs/cgroup."""
    (root / "proc" / "self").mkdir(parents=True)
    (root / "proc" / "self" / "cgroup").write_text(groups)
    for name, content in files.items():
        path = root / "sys" / "fs" / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    return root


def group(folder, limit, used, cache, names=("memory.max", "memory.current", "inactive_file")):
    return {
        f"{folder}{names[0]}": limit,
        f"{folder}{names[1]}": used,
        f"{folder}memory.stat": f"anon 5\n{names[2]} {cache}\nslab 7",
    }


V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


@pytest.mark.parametrize(
    "groups, files, expected",
    [
        # The container's own view, version 2: a file cache gives way.
        ("0::/\n", group("", 1000, 900, 300), (1000, 400)),
        # A service: the group above has a tighter limit than its own, which has none.
        ("0::/a/b\n", group("a/b/", "max", 700, 0) | group("a/", 800, 700, 100), (800, 200)),
        ("0::/a/b\n", group("a/b/", 500, 100, 0) | group("a/", 800, 700, 0), (500, 100)),
        # Version 1 with the host's path, which the container does not see.
        ("5:cpu:/x\n4:memory:/docker/0\n", group("memory/", 600, 650, 10, V1), (600, 0)),
        ("0::/\n", group("", "max", 900, 0), None),
        ("0::/\n", {"memory.max": 1000}, None),
        ("garbage\n", {}, None),
        ("0::/../b\n", group("../b/", 10, 1, 0) | group("", 1000, 1, 0), (1000, 999)),
    ],
)
def test_limits_are_those_of_the_groups_that_the_process_is_in(tmp_path, groups, files, expected):
    assert memory_limits(write(tmp_path, groups, files)) == expected


def test_without_control_groups_there_is_no_limit(tmp_path):
    assert memory_limits(tmp_path) is None


@pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")
def test_a_limit_makes_the_machine_smaller_never_larger(monkeypatch):
    monkeypatch.setattr(machine, "memory_limits", lambda: None)
    total, free = machine.host_memory()
    monkeypatch.setattr(machine, "memory_limits", lambda: (64 * MIB, 16 * MIB))
    assert machine.host_memory() == (64 * MIB, 16 * MIB)
    monkeypatch.setattr(machine, "memory_limits", lambda: (1 << 62, 1 << 62))
    assert machine.host_memory()[0] == total and free > 16 * MIB
