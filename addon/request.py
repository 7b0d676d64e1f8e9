# SPDX-License-Identifier: GPL-3.0-or-later
"""What a generation or a texturing asks of the engine: the content of request.json."""

import random
import re

MESH_FILE = "mesh.npz"
STARTER, TRELLIS2 = "starter", "trellis2-4b"
# The qualities of the panel as the published model set names them; the shape of a mesh to texture needs no cascade.
QUALITY_KINDS = {"DRAFT": "512", "STANDARD": "1024_cascade", "FINE": "1536_cascade"}
TEXTURE_KINDS = {"DRAFT": "512", "STANDARD": "1024", "FINE": "1536"}
KINDS = {"generate": QUALITY_KINDS, "texture": TEXTURE_KINDS}
# What each model can do, for people about to choose.
MODEL_NOTES = {
    STARTER: "Simple shapes. For photographs, use TRELLIS.2-4B.",
    TRELLIS2: "Photographs and detailed objects.",
}
# How the subject of an image is found: by its transparency or else by looking; by only one of these; not at all.
MATTINGS = ("auto", "alpha", "birefnet", "keyer", "none")
# How the surface is mended; None is as the model suggests.
REPAIRS = ("as_generated", "clean", "watertight")
# Texels along a side of the maps, as panel and command line offer them.
TEXTURE_SIZES = (512, 1024, 2048, 4096, 8192)
# Levels of detail beside an object: shares of its faces.
LODS = (0.5, 0.25, 0.12)
# What a request says of finishing, and what it does when nobody says otherwise; None is automatic, or as the model
# suggests. docs/pipelines.md tells what each means.
FINISHING = {
    "faces": None,
    "ratio": None,
    "texture_size": 1024,
    "repair": None,
    "smoothing": None,
    "hole_length": None,
    "floater_size": None,
    "thickness": None,
    "lods": [],
    "occlusion": True,
    "normal_map": True,
    "draft": False,
}
MAX_SEED = 2**31 - 1
IMAGE_SUFFIX = re.compile(r"\.(png|jpe?g|webp|bmp|gif|tiff?|tga|exr|hdr|jp2|psd|dds|dpx|cin)$", re.IGNORECASE)


def object_name(image_name):
    """The name of an object made from an image: without the file's suffix and Blender's ``.001``."""
    stem = IMAGE_SUFFIX.sub("", re.sub(r"\.\d{3}$", "", image_name)).strip()
    return stem or "Object"


def new_seed():
    """Draw a seed that fits Blender's integer properties."""
    return random.SystemRandom().randint(0, MAX_SEED)


def make_request(
    name,
    image_name,
    seed,
    model=STARTER,
    model_path=None,
    quality=STARTER,
    matting=MATTINGS[0],
    models_folder=None,
    samplers=None,
    fast=False,
    int8=False,
    fp8=False,
    **finishing,
):
    """Return the request of a generation, all of it plain JSON values; ``input`` is added by the store.

    ``models_folder`` is where downloaded models lie, among them those that find the subject of an image. ``samplers``
    says by stage how sampling shall be otherwise than the model has it, ``fast`` whether it may be approximate,
    ``int8`` whether the large networks shall be kept at 8 bits a weight, ``fp8`` whether they shall multiply 8-bit
    floating point numbers. ``finishing`` is what shall be otherwise than in ``FINISHING``. Raises TypeError for a
    setting that there is not.
    """
    unknown = finishing.keys() - FINISHING.keys()
    if unknown:
        raise TypeError(f"there is no setting {', '.join(sorted(unknown))}")
    settings = {
        "quality": quality,
        "matting": matting,
        **_sampling(samplers, fast, int8, fp8),
        **FINISHING,
        **finishing,
    }
    return _request("generate", name, image_name, seed, model, model_path, models_folder, settings)


def make_refinish_request(name, source, made, settings, beside=None):
    """Return the request of finishing a generation again: ``source`` is its folder, ``made`` its request.

    The result takes the place of the object ``name``; where ``beside`` names a job, it becomes another object beside
    that of the job.

    ``settings`` are what shall be otherwise than it was, named as in ``FINISHING``. Where they limit the faces in one
    way, a limit in the other way ends; where they choose another repair, so does the thickness of sheets.
    """
    before = made.get("settings")
    merged = {**(before if isinstance(before, dict) else {}), **settings}
    for given, other in (("faces", "ratio"), ("ratio", "faces"), ("repair", "thickness")):
        if settings.get(given) is not None and other not in settings:
            merged[other] = None
    return {
        "kind": "refinish",
        "name": name,
        "source": str(source),
        "image": made.get("image", ""),
        "seed": made.get("seed", 0),
        "model": made.get("model"),
        "settings": merged,
        "online": False,
        **({"beside": beside} if beside is not None else {}),
    }


def make_texture_request(
    name,
    image_name,
    seed,
    target,
    model=STARTER,
    model_path=None,
    quality=STARTER,
    texture_size=1024,
    matting=MATTINGS[0],
    models_folder=None,
    samplers=None,
    fast=False,
    int8=False,
    fp8=False,
):
    """Return the request of texturing a mesh; ``target`` (Subject.target) is what applying the result has to know."""
    settings = {
        "quality": quality,
        "texture_size": texture_size,
        "matting": matting,
        **_sampling(samplers, fast, int8, fp8),
    }
    request = _request("texture", name, image_name, seed, model, model_path, models_folder, settings)
    return {**request, "mesh": MESH_FILE, "target": target}


def _sampling(samplers, fast, int8, fp8):
    """What is said of sampling: only what is otherwise than the model has it."""
    said = {"samplers": samplers, "fast": fast, "int8": int8, "fp8": fp8}
    return {name: value for name, value in said.items() if value}


def _request(kind, name, image_name, seed, model, model_path, models_folder, settings):
    return {
        "kind": kind,
        "name": name,
        "image": image_name,
        "seed": seed,
        "model": {"set": model, "path": str(model_path) if model_path is not None else None},
        "models_folder": str(models_folder) if models_folder is not None else None,
        "settings": settings,
        "online": False,
    }
