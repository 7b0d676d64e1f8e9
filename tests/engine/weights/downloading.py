# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloading a set within a test, and what it is refused with."""

import pytest


def fetch(entry, models, say, accepted=True):
    from espalier.engine.weights.download import download

    download([entry], models, say, accepted)


def refused(code, entry, models, say, **options):
    from espalier.engine.errors import EspalierError

    with pytest.raises(EspalierError) as problem:
        fetch(entry, models, say, **options)
    assert problem.value.code == code, (problem.value.code, problem.value.sentence, problem.value.hint)
    return problem.value
