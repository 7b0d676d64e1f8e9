# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever arrives on the link between Blender and the engine is a message, a refusal, or the end of the link."""

import json
import struct
import subprocess
import sys
from io import BytesIO

from espalier.addon.client.link import Link
from espalier.engine import protocol
from espalier.tests.conftest import ROOT
from espalier.tests.fuzz.guard import watched
from espalier.tests.fuzz.mutations import altered, anything, damaged, fuzzed, written
from hypothesis import strategies as st

TO_ENGINE = [
    protocol.encode("submit", job="a", folder="/tmp/a"),
    protocol.encode("cancel", job="a"),
    protocol.encode("release"),
]
FROM_ENGINE = [
    protocol.encode("heartbeat", stage="shape", seconds=1.5, memory={"used": 1, "free": 2}),
    protocol.encode("progress", job="a", stage="shape", step=1, of=12, eta_s=None),
    protocol.encode("failed", code="x", sentence="It failed.", hint="", log=""),
]
STREAMS = [b"".join(TO_ENGINE), b"".join(FROM_ENGINE), b"Traceback (most recent call last):\n", struct.pack(">I", 0)]


def messages(decoder, limit=1000):
    """Everything a decoder has to say: messages, and refusals until the link is lost."""
    for _ in range(limit):
        try:
            message = decoder.next()
        except protocol.BadFrame as bad:
            assert str(bad).strip()
            if bad.lost:
                return
            continue
        if message is None:
            return
        yield message
    raise AssertionError("the decoder does not come to an end")


@fuzzed(500, data=damaged(*STREAMS), pieces=st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_damaged_streams_give_messages_or_refusals_however_they_are_cut(tmp_path_factory, data, pieces):
    whole, cut = protocol.FrameDecoder(), protocol.FrameDecoder()
    with watched(tmp_path_factory.getbasetemp()):
        whole.feed(data)
        expected = list(messages(whole))
        found, at, turn = [], 0, 0
        while at < len(data):
            size = pieces[turn % len(pieces)]
            cut.feed(data[at : at + size])
            found += messages(cut)
            at, turn = at + size, turn + 1
        assert written(found) == written(expected)


@fuzzed(400, body=st.sampled_from(TO_ENGINE + FROM_ENGINE).flatmap(lambda frame: altered(json.loads(frame[4:]))))
def test_messages_with_any_field_are_taken_or_refused(tmp_path_factory, body):
    frame = written(body)
    decoder = protocol.FrameDecoder()
    with watched(tmp_path_factory.getbasetemp()):
        decoder.feed(struct.pack(">I", len(frame)) + frame)
        for message in messages(decoder):
            for table in (protocol.TO_ENGINE, protocol.FROM_ENGINE):
                try:
                    kind = protocol.check(message, table)
                except protocol.BadFrame as bad:
                    assert str(bad).strip()
                else:
                    assert table[kind].keys() <= message.keys()


@fuzzed(200, fields=st.dictionaries(st.text(max_size=6).filter(lambda n: n not in ("v", "kind")), anything()))
def test_what_can_be_sent_arrives_as_it_was(fields):
    try:
        frame = protocol.encode("log", **fields)
    except protocol.BadFrame:
        return
    decoder = protocol.FrameDecoder()
    decoder.feed(frame)
    assert written(decoder.next()) == written({"v": protocol.VERSION, "kind": "log", **fields})


def test_an_engine_that_is_fed_with_damage_answers_or_leaves(tmp_path):
    """A real engine: altered messages one after the other, then a proper one, which still has to be understood."""
    noise: list[bytes] = []

    @fuzzed(150, body=st.sampled_from(TO_ENGINE).flatmap(lambda frame: altered(json.loads(frame[4:]))))
    def collect(body):
        text = written(body)
        if b"shutdown" not in text:
            noise.append(struct.pack(">I", len(text)) + text)

    collect()
    command = [sys.executable, "-I", "-X", "utf8", "-u", str(ROOT / "engine" / "__main__.py"), "serve"]
    with (tmp_path / "log.txt").open("wb") as log:
        engine = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=tmp_path)
        out, _ = engine.communicate(b"".join(noise) + protocol.encode("shutdown"), timeout=120)
    decoder = protocol.FrameDecoder()
    decoder.feed(out)
    kinds = [protocol.check(message, protocol.FROM_ENGINE) for message in messages(decoder, 100_000)]
    assert engine.returncode == 0
    assert kinds[0] == "hello"
    assert kinds.count("failed") > 50
    assert list(tmp_path.iterdir()) == [tmp_path / "log.txt"]


@fuzzed(100, data=damaged(*STREAMS))
def test_the_client_takes_whatever_an_engine_prints(data):
    class Process:
        stdin, stdout = BytesIO(), BytesIO(data)

        def poll(self):
            return 0

    import time

    link = Link(Process())
    deadline = time.monotonic() + 20
    seen = []
    while not link.ended and time.monotonic() < deadline:
        for item in link.receive(deadline):
            seen.append(item)
            if isinstance(item, protocol.BadFrame) and item.lost:
                return
    assert link.ended
    assert all(isinstance(item, dict | protocol.BadFrame) for item in seen)
