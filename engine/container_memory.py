# SPDX-License-Identifier: GPL-3.0-or-later
"""What memory a container or a service may use: the limits of the Linux control groups that this process is in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

# Of each version: the files with the limit, what is used of it, and the line of memory.stat with what of that is a
# cache of files, which gives way.
_V2 = ("memory.max", "memory.current", "inactive_file")
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def memory_limits(root: Path = Path("/")) -> tuple[int, int] | None:
    """Bytes that this process's groups may use, and what of it is left; None without a limit.

    Both are the smallest of the process's own group and of all above it. ``root`` is where /proc and /sys are found.
    """
    found = [limits for folder, files in _groups(root) if (limits := _limits(folder, *files)) is not None]
    return (min(limit for limit, _ in found), min(left for _, left in found)) if found else None


def _groups(root: Path) -> Iterator[tuple[Path, tuple[str, str, str]]]:
    """The folders of the process's groups, with the files of their version. In a container the path that the process
    is told may be the host's and not exist; the top of what is mounted is its group then, and is always looked at."""
    mounted = root / "sys" / "fs" / "cgroup"
    with contextlib.suppress(OSError, ValueError):
        for line in (root / "proc" / "self" / "cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers or "memory" in controllers.split(","):
                top, files = (mounted / "memory", _V1) if controllers else (mounted, _V2)
                group = Path(path.lstrip("/"))
                yield from ((top / part, files) for part in (group, *group.parents) if ".." not in part.parts)


def _limits(folder: Path, limit: str, used: str, cache: str) -> tuple[int, int] | None:
    """Limit and what is left of it in one group; None where it has none ("max" is no number)."""
    try:
        most, taken = (int((folder / name).read_text(encoding="ascii")) for name in (limit, used))
        lines = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
        taken -= next((int(line.split()[1]) for line in lines if line.startswith(f"{cache} ")), 0)
    except (OSError, ValueError, IndexError):
        return None
    return most, max(most - taken, 0)
