# SPDX-License-Identifier: GPL-3.0-or-later
"""The image encoder in timm's layout is the same network: names, and features of timm's own code.

``tests/data/timm`` holds weights, an image and the features that timm 1.0.31 gave, made as its metadata says.
"""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from .conftest import entry_of

FIXTURE = Path(__file__).resolve().parents[2] / "data" / "timm" / "dinov3_tiny.safetensors"
TINY = {
    "hidden_size": 16,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_register_tokens": 4,
    "patch_size": 16,
    "image_size": 224,
    "rope_theta": 100.0,
    "layer_norm_eps": 1e-5,
    "hidden_act": "gelu",
    "use_gated_mlp": False,
    "query_bias": True,
    "key_bias": False,
}
ARCHITECTURE = {"architecture": "vit_large_patch16_dinov3_qkvb", "pretrained_cfg": {"tag": "lvd1689m"}}


@pytest.fixture
def timm():
    """(weights in timm's layout, image, features before the last norm, the same without biases)."""
    tensors = load_file(FIXTURE)
    weights = {name.removeprefix("weights."): value for name, value in tensors.items() if name.startswith("weights.")}
    return weights, tensors["image"], tensors["hidden"], tensors["hidden_without_biases"]


def write(folder, weights, config=ARCHITECTURE):
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in weights.items()}, folder / "model.safetensors")
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return folder


def encoder(content=b"", published=False):
    """The set of the tiny encoder; ``published``: its weights have these bytes."""
    from espalier.engine.weights.registry import DINOV3_SET

    files = {
        "config.json": ("config.json", b"", False),
        "model.safetensors": ("model.safetensors", content, published),
    }
    entry = entry_of("DINOv3", {"gated/dinov3": files}, check="image_encoder", encoder=TINY)
    return dataclasses.replace(entry, alternatives=DINOV3_SET.alternatives)


def features(folder, image):
    """Features as a model set that names the encoder by its repository gets them."""
    from espalier.engine.weights.configuration import ImageEncoder
    from espalier.engine.weights.model_set import ModelSet

    config = type("Config", (), {"image_encoder": ImageEncoder("DinoV3FeatureExtractor", "gated/dinov3"), "models": {}})
    models = ModelSet(folder.parent / "TRELLIS.2-4B", config, torch.device("cpu"), "float32")
    return models.image_encoder()(image)


def normed(hidden):
    return torch.nn.functional.layer_norm(hidden, hidden.shape[-1:], eps=1e-5)


@pytest.mark.parametrize("biases", [True, False])
def test_features_of_converted_weights_are_those_of_timm(biases, timm, tmp_path):
    from espalier.engine.weights.dinov3_files import settle

    weights, image, hidden, without = timm
    if not biases:
        weights = {name: value for name, value in weights.items() if not name.endswith(("q_bias", "v_bias"))}
    folder = write(tmp_path / "DINOv3", weights)
    settle(folder, TINY)
    difference = (features(folder, image) - normed(hidden if biases else without)).abs().max()
    assert difference < 2e-5
    assert json.loads((folder / "config.json").read_text())["model_type"] == "dinov3_vit"
    before = (folder / "model.safetensors").read_bytes()
    settle(folder, TINY)
    assert (folder / "model.safetensors").read_bytes() == before


def test_an_encoder_comes_from_any_repository_in_timms_layout(timm, tmp_path, hub, models, say):
    from espalier.engine.weights.download import download
    from espalier.engine.weights.models_folder import read_receipt
    from espalier.engine.weights.verify import verify_set

    weights, image, hidden, _ = timm
    source = write(tmp_path / "source", weights)
    entry = encoder().from_repository("open/copy", "main")
    server = hub({"open/copy": {path.name: path.read_bytes() for path in source.iterdir()}})
    server.cuts = [70_000]
    download([entry], models, say, True)
    place = models.place(entry)
    assert (features(place, image) - normed(hidden)).abs().max() < 2e-5
    note = read_receipt(place)["files"]["model.safetensors"]
    assert note["repository"] == "open/copy" and note["size"] == (place / "model.safetensors").stat().st_size
    assert models.is_complete(entry) and sorted(path.name for path in place.iterdir()) == [
        "config.json",
        "espalier.json",
        "model.safetensors",
    ]
    verify_set(encoder(), models, say)
    assert say[-1][0] == "verified"


def test_an_encoder_is_imported_in_either_layout_and_without_a_config(timm, tmp_path, models, say):
    from espalier.engine.weights.import_folder import import_set

    weights, image, hidden, _ = timm
    published = encoder(b"the published bytes are others", published=True)
    for name, config in (("a/vit_large_patch16_dinov3.lvd1689m", ARCHITECTURE), ("b", None)):
        source = write(tmp_path / name, weights, config)
        before = (source / "model.safetensors").read_bytes()
        import_set(published, [tmp_path / name.partition("/")[0]], models, say)
        assert (features(models.place(published), image) - normed(hidden)).abs().max() < 2e-5
        assert (source / "model.safetensors").read_bytes() == before
    original = models.place(published).rename(tmp_path / "original")
    for file in original.iterdir():
        file.chmod(0o644)
    import_set(published, [original], models, say)
    assert (features(models.place(published), image) - normed(hidden)).abs().max() < 2e-5


def drop(name):
    return lambda weights: weights.pop(name)


def turn(name):
    return lambda weights: weights.update({name: weights[name].mT.contiguous()})


def spoil(weights):
    weights["blocks.1.attn.v_bias"][3] = float("nan")


@pytest.mark.parametrize(
    ("change", "config", "part"),
    [
        (drop("norm.bias"), ARCHITECTURE, "norm.bias"),
        (drop("blocks.1.gamma_2"), ARCHITECTURE, "blocks.1.gamma_2"),
        (turn("blocks.0.attn.qkv.weight"), ARCHITECTURE, "qkv"),
        (turn("blocks.0.mlp.fc1.weight"), ARCHITECTURE, "up_proj"),
        (lambda weights: weights.update(head=torch.zeros(3)), ARCHITECTURE, "head"),
        (lambda weights: weights.update({"blocks.0.attn.k_bias": torch.zeros(16)}), ARCHITECTURE, "k_bias"),
        (spoil, ARCHITECTURE, ""),
        (lambda weights: None, {"architecture": "vit_base_patch16_dinov3"}, "vit_base"),
        (lambda weights: None, {**ARCHITECTURE, "pretrained_cfg": {"tag": "sat493m"}}, "sat493m"),
        (lambda weights: None, {**ARCHITECTURE, "auto_map": {"AutoModel": "evil.py"}}, ""),
    ],
)
def test_what_is_another_encoder_is_refused_with_the_files_name(change, config, part, timm, tmp_path, models, say):
    from espalier.engine.errors import EspalierError
    from espalier.engine.weights.import_folder import import_set

    weights, image, hidden, _ = timm
    import_set(encoder(), [write(tmp_path / "good", weights)], models, say)
    weights = {name: value.clone() for name, value in weights.items()}
    change(weights)
    with pytest.raises(EspalierError) as problem:
        import_set(encoder(), [write(tmp_path / "bad", weights, config)], models, say)
    text = problem.value.sentence + problem.value.hint
    assert ("model.safetensors" in text or "config.json" in text) and part in text
    assert (features(models.place(encoder()), image) - normed(hidden)).abs().max() < 2e-5


def test_the_original_layout_of_another_size_is_refused(timm, tmp_path, models, say):
    from espalier.engine.errors import EspalierError
    from espalier.engine.weights.dinov3_files import settle
    from espalier.engine.weights.import_folder import import_set

    source = write(tmp_path / "source", timm[0])
    settle(source, TINY)
    for name, value in (("rope_theta", 10000.0), ("num_register_tokens", 0), ("hidden_act", "silu")):
        (source / "config.json").write_text(json.dumps({**TINY, name: value}))
        with pytest.raises(EspalierError) as problem:
            import_set(encoder(), [source], models, say)
        assert problem.value.code == "bad_config" and name in problem.value.hint
    assert not models.place(encoder()).exists()


def test_only_an_image_encoder_can_come_from_elsewhere_and_only_from_a_repository():
    from espalier.engine.errors import EspalierError
    from espalier.engine.weights.registry import DINOV3_SET, TRELLIS2

    for name in ("", "timm", "../x/y", "a/b/c", "/etc/passwd", "a b/c", "timm/..", "https://x.y/z"):
        with pytest.raises(EspalierError, match="no repository"):
            DINOV3_SET.from_repository(name)
    with pytest.raises(EspalierError, match="own repositories"):
        TRELLIS2.from_repository("a/b")
    part = DINOV3_SET.from_repository("timm/vit_large_patch16_dinov3.lvd1689m", "v1").parts[0]
    assert (part.repository, part.revision) == ("timm/vit_large_patch16_dinov3.lvd1689m", "v1")
    assert not any(file.sha256 or file.size for file in part.files)
