# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's side of the process link: starts the engine, sends requests, receives events. No bpy in here.

``JobQueue`` is what operators and panels use; it stands on ``EngineClient`` (one engine process) and ``JobStore``
(the folders).
"""

from .engine import EngineClient, EngineState
from .engine_task import EngineTask
from .errors import ClientError, Problem
from .process import EnginePython, find_python
from .queue import Job, JobQueue
from .shelf import Shelf
from .store import JobStore, data_folder

__all__ = [
    "ClientError",
    "EngineClient",
    "EnginePython",
    "EngineState",
    "EngineTask",
    "Job",
    "JobQueue",
    "JobStore",
    "Problem",
    "Shelf",
    "data_folder",
    "find_python",
]
