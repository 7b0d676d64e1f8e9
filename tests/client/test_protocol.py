"""Frames: whole messages come out however the bytes arrive, and garbage is named."""

import random
import struct
import sys
from pathlib import Path

import pytest
from espalier.engine import protocol
from hypothesis import given, settings
from hypothesis import strategies as st


def read_all(decoder):
    messages = []
    while (message := decoder.next()) is not None:
        messages.append(message)
    return messages


@settings(max_examples=40, deadline=None)
@given(st.lists(st.dictionaries(st.text(), st.none() | st.integers() | st.text()), max_size=5), st.integers(1, 40))
def test_messages_survive_any_cutting_of_the_stream(bodies, piece):
    stream = b"".join(protocol.encode("log", body=body) for body in bodies)
    decoder, messages = protocol.FrameDecoder(), []
    for start in range(0, len(stream), piece):
        decoder.feed(stream[start : start + piece])
        messages += read_all(decoder)
    assert [message["body"] for message in messages] == bodies


def test_a_path_that_is_no_unicode_survives():
    path = b"/home/\xff\xe4/chair.png".decode("utf-8", "surrogateescape")
    decoder = protocol.FrameDecoder()
    decoder.feed(protocol.encode("submit", folder=path))
    assert decoder.next()["folder"] == path


@pytest.mark.parametrize(
    "body", [b"\xff\xfe\xfa", b"[1, 2]", b"", b"{", b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}"]
)
def test_a_frame_without_a_message_is_reported_and_the_next_one_read(body):
    decoder = protocol.FrameDecoder()
    decoder.feed(struct.pack(">I", len(body)) + body + protocol.encode("release"))
    with pytest.raises(protocol.BadFrame) as caught:
        decoder.next()
    assert not caught.value.lost
    assert decoder.next()["kind"] == "release"


def test_text_in_the_stream_is_recognised_as_no_frame():
    decoder = protocol.FrameDecoder()
    decoder.feed(b"Traceback (most recent call last):\n" + protocol.encode("release"))
    for _attempt in range(2):
        with pytest.raises(protocol.BadFrame, match="Traceback") as caught:
            decoder.next()
        assert caught.value.lost
        decoder.feed(protocol.encode("release"))


def test_a_message_over_one_mebibyte_is_not_sent():
    with pytest.raises(protocol.BadFrame, match="at most 1048576"):
        protocol.encode("log", text="x" * protocol.MAX_FRAME)
    assert len(protocol.encode("log", text="x" * (protocol.MAX_FRAME - 100))) <= protocol.MAX_FRAME + 4


@pytest.mark.parametrize("value", [float("nan"), object(), {1, 2}])
def test_what_json_cannot_hold_is_not_sent(value):
    with pytest.raises(protocol.BadFrame):
        protocol.encode("log", text=value)


@pytest.mark.parametrize(
    ("message", "about"),
    [
        ({"v": 2, "kind": "cancel", "job": "a"}, "version 2"),
        ({"kind": "cancel", "job": "a"}, "version None"),
        ({"v": 1, "kind": "dance"}, "dance"),
        ({"v": 1, "kind": ["cancel"]}, "unknown"),
        ({"v": 1, "kind": "cancel"}, "'job'"),
        ({"v": 1, "kind": "cancel", "job": 7}, "'job'"),
    ],
)
def test_a_message_that_breaks_the_agreement_is_named(message, about):
    with pytest.raises(protocol.BadFrame, match=about):
        protocol.check(message, protocol.TO_ENGINE)


def test_unknown_fields_are_ignored():
    message = {"v": 1, "kind": "cancel", "job": "a", "later": [1]}
    assert protocol.check(message, protocol.TO_ENGINE) == "cancel"


def test_random_bytes_end_in_messages_or_sentences():
    generator = random.Random(5)
    for _round in range(300):
        decoder = protocol.FrameDecoder()
        stream = bytearray(b"".join(protocol.encode("log", text="x" * generator.randrange(50)) for _ in range(5)))
        for _change in range(generator.randrange(6)):
            stream[generator.randrange(len(stream))] = generator.randrange(256)
        decoder.feed(bytes(stream))
        for _attempt in range(20):
            try:
                if decoder.next() is None:
                    break
            except protocol.BadFrame as bad:
                assert bad.sentence.endswith(".")
                if bad.lost:
                    break
        else:
            raise AssertionError("the decoder does not come to an end")


def test_the_protocol_needs_only_the_standard_library():
    lines = Path(protocol.__file__).read_text(encoding="utf-8").splitlines()
    modules = [line.split()[1].split(".")[0] for line in lines if line.startswith(("import ", "from "))]
    assert set(modules) <= set(sys.stdlib_module_names)
