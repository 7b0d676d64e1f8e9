# SPDX-License-Identifier: GPL-3.0-or-later
"""The buttons beside a failure, which do what helps after it."""

from .. import ids
from ..remedies import Remedy


def draw_remedies(layout, remedies, job_id):
    """A button for each remedy, side by side; nothing when there is none."""
    if not remedies:
        return
    row = layout.row(align=True)
    for remedy in remedies:
        _DRAW[remedy](row, job_id)


def _retry(row, job_id):
    row.operator(ids.OP_RETRY, icon="FILE_REFRESH").job = job_id


def _image(row, _job_id):
    row.operator(ids.OP_OPEN_IMAGE, text="Another Image", icon="FILE_FOLDER")


def _seed(row, job_id):
    each = row.row(align=True)
    # Pressed as elsewhere, it would ask how many.
    each.operator_context = "EXEC_DEFAULT"
    another = each.operator(ids.OP_VARIANTS, text="Another Seed", icon="FILE_REFRESH")
    another.job, another.count = job_id, 1


def _settings(row, job_id):
    row.operator(ids.OP_RECALL, icon="SETTINGS").job = job_id


def _preferences(row, _job_id):
    row.operator(ids.OP_OPEN_PREFERENCES, text="Preferences", icon="PREFERENCES")


_DRAW = {
    Remedy.RETRY: _retry,
    Remedy.IMAGE: _image,
    Remedy.SEED: _seed,
    Remedy.SETTINGS: _settings,
    Remedy.PREFERENCES: _preferences,
}
