# SPDX-License-Identifier: GPL-3.0-or-later
"""``python true_size.py FOLDER TASK``: one step of the pipeline on a full-size set, in a process of its own.

Prints one JSON object: the memory that loading added, per network and as a share of its file, and what came out.
"""

import importlib.util
import json
import sys
import time
from pathlib import Path

BOOTSTRAP = Path(__file__).resolve().parents[3] / "engine" / "__main__.py"


def memory(kind):
    """Resident memory of this process in bytes: ``VmRSS`` now, ``VmHWM`` at most so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(kind))


def load(models, name, file):
    """Load a network as the pipeline does; how much resident memory rose meanwhile, and what it holds."""
    before, start = memory("VmRSS"), time.perf_counter()
    model = models.image_encoder() if name == "image_encoder" else models.model(name)
    return {
        "rise": (memory("VmHWM") - before) / file.stat().st_size,
        "seconds": round(time.perf_counter() - start, 1),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "precisions": sorted({str(parameter.dtype) for parameter in model.parameters()}),
    }


def flow(pipeline, torch):
    """One velocity of 64 tokens under the 261 of a picture of 256 x 256: a single Euler step without guidance."""
    from espalier.engine.pipelines.stages import Settings

    cells = torch.cartesian_prod(torch.arange(1), *[torch.arange(8, 12)] * 3).int()
    noise = torch.Generator().manual_seed(1)
    cond = torch.randn(1, 5 + 16 * 16, 1024, generator=noise)
    one_step = Settings(samplers={"shape": {"steps": 1, "guidance_strength": 1.0}})
    latent = pipeline.shape_latent("shape_slat_flow_model_512", cells, cond, noise, one_step, lambda step, of: None)
    return {"shape": list(latent.feats.shape), **summary(latent.feats)}


def decoders(pipeline, torch):
    """Eight latent cells, which their random subdivision makes some hundred voxels or a few thousand."""
    from espalier.engine.sparse import SparseTensor

    torch.manual_seed(2)
    cells = torch.cartesian_prod(torch.arange(1), *[torch.arange(8, 10)] * 3).int()
    shape = SparseTensor(torch.randn(len(cells), 32), cells)
    voxels = pipeline.decode_shape(shape)
    asset = pipeline.decode(voxels, shape.replace(torch.randn(len(cells), 32)), 512, {})
    numbers = torch.cat([torch.from_numpy(asset.vertices), torch.from_numpy(asset.attrs)], 1)
    return {"voxels": len(asset.coords), "columns": numbers.shape[1], **summary(numbers)}


def image(pipeline, torch):
    """The tokens of a picture of 512 x 512."""
    from PIL import Image

    tokens = pipeline.condition(Image.linear_gradient("L").convert("RGB"), {512})[512]
    return {"shape": list(tokens.shape), **summary(tokens)}


def summary(values):
    return {"finite": bool(values.isfinite().all()), "mean": values.mean().item(), "deviation": values.std().item()}


TASKS = {
    "flow": (flow, ["shape_slat_flow_model_512"]),
    "decoders": (decoders, ["shape_slat_decoder", "tex_slat_decoder"]),
    "image": (image, ["image_encoder"]),
}


def main(folder, task):
    spec = importlib.util.spec_from_file_location("bootstrap", BOOTSTRAP)
    bootstrap = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bootstrap)
    bootstrap.load_package()

    import torch
    from espalier.engine.pipelines.image_to_3d import ImageTo3D
    from espalier.engine.weights.model_set import load_model_set
    from espalier.engine.weights.released import NETWORKS

    forward, names = TASKS[task]
    models = load_model_set(folder)
    loaded = {name: load(models, name, Path(folder, NETWORKS[name].path + ".safetensors")) for name in names}
    start = time.perf_counter()
    with torch.inference_mode():
        result = forward(ImageTo3D(models), torch)
    result["seconds"] = round(time.perf_counter() - start, 1)
    print(json.dumps({"loaded": loaded, "result": result, "peak": memory("VmHWM")}))


if __name__ == "__main__":
    main(*sys.argv[1:])
