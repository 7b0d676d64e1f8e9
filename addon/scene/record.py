# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an object comes from, as custom properties on it: simple values and JSON text, readable without Espalier."""

import json

from .. import ids


def record(item, provenance):
    """Write down on an object where it, or its texture, comes from."""
    item[ids.PROP_IMAGE] = provenance.image
    item[ids.PROP_SEED] = provenance.seed
    item[ids.PROP_MODEL] = provenance.model
    item[ids.PROP_SETTINGS] = json.dumps(provenance.settings, ensure_ascii=False, sort_keys=True)
    item[ids.PROP_JOB] = provenance.job
