# SPDX-License-Identifier: GPL-3.0-or-later
"""A weights file is believed in nothing: each kind of damage is refused with the file's name."""

import json
import struct

import pytest
import torch
from espalier.engine.errors import EspalierError
from espalier.engine.weights.safetensors_file import SafetensorsFile
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save, save_file

TENSORS = {
    "a.weight": torch.arange(6.0).view(2, 3),
    "b": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    "c": torch.tensor([[1, -128]], dtype=torch.int8),
    "d": torch.zeros(0, 3, dtype=torch.float16),
    "e": torch.tensor(3.0),
}


def test_every_tensor_reads_back(tmp_path):
    save_file(TENSORS, tmp_path / "w.safetensors", metadata={"note": "ignored"})
    file = SafetensorsFile(tmp_path / "w.safetensors")
    assert set(file.entries) == set(TENSORS)
    for name, tensor in TENSORS.items():
        read = file.read(name)
        assert read.dtype == tensor.dtype
        assert torch.equal(read, tensor)


def refused(tmp_path, content, match):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(EspalierError, match=match) as caught:
        file = SafetensorsFile(path)
        for name in file.entries:
            file.read(name)
    assert caught.value.code == "bad_weights"
    assert "“w.safetensors”" in caught.value.sentence


def with_header(table, body=b""):
    header = json.dumps(table).encode() if not isinstance(table, bytes) else table
    return struct.pack("<Q", len(header)) + header + body


def entry(dtype="F32", shape=(1,), offsets=(0, 4)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize(
    "content, match",
    [
        (b"", "is empty"),
        (b"1234", "not a safetensors file"),
        (b"\x80\x02}q\x00." * 10, "not a safetensors file"),
        (b"PK\x03\x04" + bytes(100), "not a safetensors file"),
        (save(TENSORS)[:-3], "truncated"),
        (save(TENSORS)[:50], "not a safetensors file|truncated"),
        (save(TENSORS) + b"more", "longer"),
        (with_header(b"[" * 5000), "table of contents"),
        (with_header(b"{nonsense}"), "table of contents"),
        (with_header([1, 2]), "table of contents"),
        (with_header({"a": 3}), "damaged table"),
        (bytes(64), "not a safetensors file"),
        (struct.pack("<Q", 1 << 63) + bytes(64), "not a safetensors file"),
        (with_header({"a": entry("F8_E4M3", offsets=(0, 1))}, bytes(1)), "not supported .F8_E4M3"),
        (with_header({"a": entry("pickle")}, bytes(4)), "not supported .pickle"),
        (with_header({"a": entry(["F32"])}, bytes(4)), "damaged table"),
        (with_header({"a": entry(shape=[1] * 100_000)}, bytes(4)), "damaged table"),
        (with_header({"a": entry(shape=[(1 << 48) - 1] * 100_000)}, bytes(4)), "damaged table"),
        (with_header({"a": entry(shape=(-1,))}, bytes(4)), "damaged table"),
        (with_header({"a": entry(shape=(1e30,))}, bytes(4)), "damaged table"),
        (with_header({"a": entry(shape=(2,))}, bytes(4)), "damaged table"),
        (with_header({"a": entry(offsets=(4, 8))}, bytes(8)), "gaps"),
        (with_header({"a": entry(), "b": entry()}, bytes(4)), "gaps or overlaps"),
        (with_header({"a": entry(offsets=(0, 4, 8))}, bytes(4)), "damaged table"),
        (save({"x": torch.tensor([1.0, float("nan")])}), "“x” holds values that are no numbers"),
        (save({"x": torch.tensor([float("inf")]).half()}), "“x” holds values that are no numbers"),
    ],
)
def test_damaged_files_are_refused(tmp_path, content, match):
    refused(tmp_path, content, match)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("place", [0, 7, 4999, 9998])
def test_one_bad_number_is_found_wherever_it_is(tmp_path, dtype, value, place):
    values = torch.linspace(-1, 1, 9999).to(dtype)
    values[place] = value
    refused(tmp_path, save({"x": values}), "“x” holds values that are no numbers")


def test_tensors_are_views_of_the_file_that_leave_it_alone(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file(TENSORS, path)
    content = path.read_bytes()
    file = SafetensorsFile(path)
    first, second = file.read("a.weight"), file.read("a.weight")
    assert first.data_ptr() == second.data_ptr()
    first.zero_()
    assert path.read_bytes() == content
    path.unlink()
    assert torch.equal(second, torch.zeros(2, 3))


def test_tensors_at_odd_places_are_read(tmp_path):
    path = tmp_path / "w.safetensors"
    table = {"a": entry("U8", (3,), (0, 3)), "b": entry("F32", (2,), (3, 11))}
    path.write_bytes(with_header(table, b"abc" + struct.pack("<2f", 1.5, -2.0)))
    assert torch.equal(SafetensorsFile(path).read("b"), torch.tensor([1.5, -2.0]))


@pytest.mark.parametrize("change", [lambda content: content[:-1], lambda content: content + b"x"])
def test_a_file_that_changed_since_it_was_opened_is_refused(tmp_path, change):
    path = tmp_path / "w.safetensors"
    save_file(TENSORS, path)
    file = SafetensorsFile(path)
    file.read("a.weight")
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(EspalierError, match=r"“w.safetensors” was changed"):
        file.read("a.weight")
    path.unlink()
    with pytest.raises(EspalierError, match=r"“w.safetensors” cannot be read"):
        file.read("a.weight")


def test_a_folder_in_place_of_a_file_is_refused(tmp_path):
    (tmp_path / "w.safetensors").mkdir()
    with pytest.raises(EspalierError, match=r"“w.safetensors” cannot be read"):
        SafetensorsFile(tmp_path / "w.safetensors")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(EspalierError, match=r"“none.safetensors” is missing"):
        SafetensorsFile(tmp_path / "none.safetensors")


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_changed_bytes_never_do_more_than_raise_the_one_error(tmp_path_factory, data):
    content = bytearray(save(TENSORS))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("fuzz") / "w.safetensors"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        file = SafetensorsFile(path)
        for name in file.entries:
            file.read(name)
    except EspalierError as error:
        assert error.code == "bad_weights"
