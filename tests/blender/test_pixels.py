# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of image that Blender holds reaches the engine as a file that it can read, in the right colours."""

import io

import bpy
import numpy as np
import pytest
from espalier.addon.scene.pixels import BadImage, encode_png, source_of, source_of_file
from PIL import Image


def decoded(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def test_file_is_passed_on_byte_for_byte(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encode_png(np.full((4, 6, 4), 200, np.uint8)))
    source, suffix = source_of(bpy.data.images.load(str(path)))
    assert source == path and suffix == ".png"


def test_packed_file_is_passed_on_byte_for_byte(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encode_png(np.full((4, 6, 4), 200, np.uint8)))
    image = bpy.data.images.load(str(path))
    image.pack()
    data = path.read_bytes()
    path.unlink()
    assert source_of(image) == (data, ".png")


def test_painted_image_is_read_from_memory_upright():
    image = bpy.data.images.new("paint", 3, 2, alpha=True)
    pixels = np.zeros((2, 3, 4), np.float32)
    pixels[0, 0] = (1.0, 0.5, 0.0, 1.0)  # Blender's first row is the bottom one
    image.pixels.foreach_set(pixels.ravel())
    data, suffix = source_of(image)
    assert suffix == ".png"
    assert decoded(data)[1, 0].tolist() == [255, 128, 0, 255] and decoded(data)[0].max() == 0


def exr(path, colour, alpha):
    image = bpy.data.images.new("hdr", 4, 4, alpha=True, float_buffer=True)
    image.pixels.foreach_set(np.tile(np.float32([*(c * alpha for c in colour), alpha]), 16))
    settings = bpy.context.scene.render.image_settings
    settings.file_format, settings.color_mode, settings.color_depth = "OPEN_EXR", "RGBA", "32"
    image.save_render(str(path))
    bpy.data.images.remove(image)
    return path


@pytest.mark.parametrize("alpha", [1.0, 0.5])
def test_exr_becomes_srgb_without_the_view_transform(tmp_path, alpha):
    bpy.context.scene.view_settings.view_transform = "AgX"
    bpy.context.scene.view_settings.exposure = 2.0
    data, suffix = source_of_file(exr(tmp_path / "a.exr", (0.2140, 0.0, 1.7), alpha))
    assert suffix == ".png"
    assert np.abs(decoded(data)[0, 0].astype(int) - [127, 0, 255, round(255 * alpha)]).max() <= 1
    assert "a.exr" not in bpy.data.images


def test_sixteen_bit_and_grey_files_are_left_to_the_engine(tmp_path):
    path = tmp_path / "grey.png"
    Image.fromarray(np.full((4, 4), 40000, np.uint16)).save(path)
    assert source_of_file(path) == (path, ".png")


def test_broken_and_missing_files_are_refused_with_a_sentence(tmp_path):
    (tmp_path / "broken.exr").write_text("no image")
    with pytest.raises(BadImage, match="not an image that Blender can read"):
        source_of_file(tmp_path / "broken.exr")
    image = bpy.data.images.new("gone", 4, 4)
    image.source, image.filepath = "FILE", str(tmp_path / "gone.png")
    image.reload()
    with pytest.raises(BadImage, match="missing"):
        source_of(image)


def test_kinds_that_are_no_still_image_are_refused_with_a_sentence():
    render = bpy.data.images.new("Render Result", 4, 4)
    render.source = "MOVIE"
    with pytest.raises(BadImage, match="a movie"):
        source_of(render)
    tiles = bpy.data.images.new("tiles", 4, 4, tiled=True)
    with pytest.raises(BadImage, match="UDIM"):
        source_of(tiles)
