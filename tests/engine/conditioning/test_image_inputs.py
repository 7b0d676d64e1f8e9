# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of file a person may choose either works or ends in one sentence that says what to do."""

import io
import os
import resource
import struct
import zlib

import numpy as np
import pytest
import torch
from espalier.engine.conditioning.image import image_tensor, prepare_image
from espalier.engine.conditioning.reader import open_image
from espalier.engine.errors import EspalierError
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

COLOUR = (200, 60, 40)


def subject(mode="RGBA", size=96):
    y, x = np.mgrid[0:size, 0:size]
    inside = (x - size / 2) ** 2 + (y - size / 2) ** 2 < (size / 3) ** 2
    pixels = np.full((size, size, 4), 255, np.uint8)
    pixels[inside, :3] = COLOUR
    pixels[..., 3] = np.where(inside, 255, 0)
    image = Image.fromarray(pixels)
    return image if mode == "RGBA" else image.convert("RGB").convert(mode)


def save(tmp_path, image, name="input.png", **options):
    path = tmp_path / name
    image.save(path, **options)
    return path


def centre_colour(prepared):
    return prepared.image.getpixel((prepared.image.width // 2, prepared.image.height // 2))


def refused(path, match, matting="auto", code="bad_input"):
    with pytest.raises(EspalierError, match=match) as caught:
        prepare_image(path, matting)
    assert caught.value.code == code
    assert caught.value.sentence.endswith(".")
    assert "\n" not in caught.value.sentence


def test_alpha_channel_is_used_as_it_is(tmp_path):
    prepared = prepare_image(save(tmp_path, subject()))
    assert prepared.notes == ("The subject was found by the image's own transparency.",)
    assert centre_colour(prepared) == COLOUR
    assert prepared.image.getpixel((0, 0)) == (0, 0, 0)
    assert prepared.mask.getpixel((0, 0)) == 0


CONTAINERS = [("PNG", "RGBA"), ("JPEG", "RGB"), ("WEBP", "RGBA"), ("TIFF", "CMYK"), ("GIF", "P"), ("BMP", "RGB")]
FILES = ["RGB a.png", "RGB a.jpg", "RGB a.webp", "RGB a.bmp", "RGB a.tif", "RGB a.gif", "RGB a.tga", "P a.png"]


@pytest.mark.parametrize("mode, name", [file.split() for file in [*FILES, "CMYK a.jpg", "CMYK a.tif", "YCbCr a.jpg"]])
def test_colour_modes_and_containers_work(tmp_path, mode, name):
    prepared = prepare_image(save(tmp_path, subject(mode), name))
    assert np.abs(np.subtract(centre_colour(prepared), COLOUR)).max() < 20
    assert 60 <= prepared.image.width <= 70


@pytest.mark.parametrize("mode", ["L", "1"])
def test_greyscale_and_bilevel_work(tmp_path, mode):
    prepared = prepare_image(save(tmp_path, subject("L").point(lambda v: 0 if v < 128 else 255).convert(mode)))
    assert centre_colour(prepared) == (0, 0, 0)
    assert prepared.mask.getpixel((prepared.mask.width // 2, prepared.mask.height // 2)) == 255


def test_sixteen_bit_greyscale_keeps_its_tones(tmp_path):
    grey = np.where(np.asarray(subject())[..., 3] > 0, 30000, 65535).astype(np.uint16)
    prepared = prepare_image(save(tmp_path, Image.fromarray(grey)))
    assert centre_colour(prepared) == (117, 117, 117)


def test_sixteen_bit_colour_png_works(tmp_path):
    small = np.asarray(subject()).astype(np.uint16) * 257
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in small)
    path = tmp_path / "deep.png"
    path.write_bytes(png(96, 96, 16, 6, zlib.compress(rows)))
    assert centre_colour(prepare_image(path)) == COLOUR


def test_floating_point_greyscale_works(tmp_path):
    values = np.where(np.asarray(subject())[..., 3] > 0, 0.25, 1.0).astype(np.float32)
    values[0, 0] = np.nan
    assert centre_colour(prepare_image(save(tmp_path, Image.fromarray(values), "f.tif"))) == (64, 64, 64)


@pytest.mark.parametrize("mode", ["LA", "PA-like"])
def test_transparency_of_other_modes_counts_as_alpha(tmp_path, mode):
    if mode == "LA":
        path = save(tmp_path, subject().convert("LA"))
    else:
        indexed = Image.fromarray((np.asarray(subject())[..., 3] > 0).astype(np.uint8), "P")
        indexed.putpalette([255, 255, 255, *COLOUR])
        path = save(tmp_path, indexed, transparency=0)
    prepared = prepare_image(path)
    assert "transparency" in prepared.notes[0]
    assert prepared.mask.getpixel((0, 0)) == 0


def test_picture_is_turned_upright_as_its_camera_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path, Image.new("RGB", (40, 20)), "turned.jpg", exif=exif)
    assert open_image(path).size == (20, 40)


def test_embedded_profile_is_converted_and_a_broken_one_ignored(tmp_path):
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (lab, b"not a profile" * 20):
        path = save(tmp_path, subject("RGB"), "profile.png", icc_profile=profile)
        assert centre_colour(prepare_image(path)) == COLOUR


def test_partly_transparent_subject_works_and_is_noted(tmp_path):
    image = subject()
    image.putalpha(image.getchannel("A").point(lambda v: v // 2))
    prepared = prepare_image(save(tmp_path, image))
    assert "The whole subject is partly transparent." in prepared.notes
    assert 60 <= prepared.image.width <= 70


def test_whole_picture_can_be_the_subject(tmp_path):
    busy = Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 80, 3), dtype=np.uint8))
    path = save(tmp_path, busy)
    refused(path, "not plain", code="busy_background")
    prepared = prepare_image(path, "none")
    assert prepared.notes == ("The whole image was taken as the subject.",)
    assert prepared.image.width == prepared.image.height == 78


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (1, 400), (400, 1), (2, 2000)])
@pytest.mark.parametrize("matting", ["auto", "none"])
def test_tiny_and_very_thin_pictures_end_in_a_sentence_or_work(tmp_path, size, matting):
    path = save(tmp_path, Image.new("RGB", size, COLOUR))
    try:
        assert min(prepare_image(path, matting).image.size) >= 8
    except EspalierError as error:
        assert error.code == "bad_input"


def png(width, height, depth, colour_type, data):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_bad_files_end_in_one_sentence(tmp_path):
    good = save(tmp_path, subject()).read_bytes()
    jpeg = save(tmp_path, subject("RGB").resize((400, 400)), "a.jpg").read_bytes()
    for name, content, sentence in [
        ("empty.png", b"", "empty file"),
        ("text.png", b"this is not an image at all", "not an image"),
        ("cut.png", good[: len(good) // 2], "damaged"),
        ("cut.jpg", jpeg[: len(jpeg) // 2], "damaged"),
        ("header.png", good[:20], "not an image|damaged"),
        ("zero.png", png(0, 0, 8, 2, zlib.compress(b"")), "not an image|no pixels|damaged"),
        ("garbage.png", good[:60] + os.urandom(200), "not an image|damaged"),
        ("photo.exr", b"\x76\x2f\x31\x01\x02\0\0\0", "OpenEXR.*PNG"),
        ("sky.hdr", b"#?RADIANCE\n", "Radiance"),
        ("drawing.svg", b"  <svg xmlns='x'>", "SVG"),
        ("page.ps", b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript"),
    ]:
        path = tmp_path / name
        path.write_bytes(content)
        refused(path, sentence)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_changed_bytes_end_in_one_sentence_or_a_picture(tmp_path_factory, data):
    container, mode = data.draw(st.sampled_from(CONTAINERS))
    stream = io.BytesIO()
    subject(mode).save(stream, container)
    content = bytearray(stream.getvalue())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("fuzz") / "a.img"
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        prepare_image(path)
    except EspalierError as error:
        assert error.code == "bad_input"


def test_missing_folder_and_unreadable_files_end_in_one_sentence(tmp_path):
    refused(tmp_path / "nowhere.png", "was not found")
    refused(tmp_path, "is a folder")


def test_images_without_a_subject_end_in_one_sentence(tmp_path):
    refused(save(tmp_path, Image.new("RGBA", (64, 64), (9, 9, 9, 0)), "clear.png"), "fully transparent")
    refused(save(tmp_path, Image.new("RGB", (64, 64), "white"), "white.png"), "No subject")
    dot = Image.new("RGBA", (64, 64))
    dot.putpixel((30, 30), (255, 0, 0, 255))
    refused(save(tmp_path, dot, "dot.png"), "less than 8 pixels")


def test_gigantic_jpeg_is_read_small_and_a_gigantic_png_is_refused(tmp_path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path = tmp_path / "huge.png"
    path.write_bytes(png(20000, 20000, 8, 2, zlib.compress(bytes(1000))))
    refused(path, "20000 x 20000 pixels, too large.*1024")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000


@pytest.mark.slow
def test_gigantic_jpeg_is_read_at_a_fraction_of_its_size(tmp_path):
    huge = Image.new("L", (20000, 20000), 255)
    huge.paste(30, (6000, 6000, 14000, 14000))
    path = save(tmp_path, huge, "huge.jpg", quality=30)
    del huge
    assert abs(prepare_image(path).image.width - 410) < 8


def test_encoder_input_is_normalised():
    tensor = image_tensor(Image.new("RGB", (30, 30), (255, 0, 0)), 64)
    assert tensor.shape == (1, 3, 64, 64)
    assert torch.allclose(tensor[0, :, 5, 5], torch.tensor([(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225]))
