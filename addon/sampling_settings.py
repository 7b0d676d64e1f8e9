# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panel says under "Advanced": how stages are sampled, where it shall be otherwise than the model has it."""

import bpy

from . import preferences
from .samplers import GUIDANCE, MOST_STEPS, STAGES, STEPS, samplers_of

# Of a stage: the value in a request, the property that holds it, and the one that says that it counts.
VALUES = ((STEPS, "steps", "use_steps"), (GUIDANCE, "guidance", "use_guidance"))


def own_samplers(settings):
    """What the model that the panel names does by itself, by stage."""
    return samplers_of(preferences.described_in(settings.model == "STARTER"))


def _begin_with_own(sampler, value, name, use):
    """A value that begins to count is at first what the model has."""
    if getattr(sampler, use):
        stage = sampler.path_from_id().rpartition(".")[2]
        setattr(sampler, name, own_samplers(sampler.id_data.espalier)[stage][value])


class ESPALIER_PG_sampler(bpy.types.PropertyGroup):
    use_steps: bpy.props.BoolProperty(
        name="Choose Steps",
        description="Choose the number of steps; otherwise it is the model's own",
        update=lambda self, _context: _begin_with_own(self, *VALUES[0]),
    )
    steps: bpy.props.IntProperty(
        name="Steps",
        description="How many steps lead from noise to the result. Twice as many take twice as long",
        default=12,
        min=1,
        max=MOST_STEPS,
        soft_max=50,
    )
    use_guidance: bpy.props.BoolProperty(
        name="Choose Guidance",
        description="Choose the strength of guidance; otherwise it is the model's own",
        update=lambda self, _context: _begin_with_own(self, *VALUES[1]),
    )
    guidance: bpy.props.FloatProperty(
        name="Guidance",
        description=(
            "How strongly the result follows the image. 1 is without guidance and takes half the time; "
            "high values exaggerate"
        ),
        default=1.0,
        min=0.0,
        max=100.0,
        soft_max=15.0,
        precision=1,
        step=10,
    )


class ESPALIER_PG_sampling(bpy.types.PropertyGroup):
    structure: bpy.props.PointerProperty(type=ESPALIER_PG_sampler)
    shape: bpy.props.PointerProperty(type=ESPALIER_PG_sampler)
    material: bpy.props.PointerProperty(type=ESPALIER_PG_sampler)
    fast: bpy.props.BoolProperty(
        name="Fast, Approximate",
        description=(
            "Compute guidance at every other step only, and steps of second order. The result differs a little"
        ),
    )
    int8: bpy.props.BoolProperty(
        name="8-Bit Weights",
        description=(
            "Keep large networks at 8 bits a weight, in half the memory: on smaller cards they need not take turns. "
            "The result differs a little"
        ),
    )
    fp8: bpy.props.BoolProperty(
        name="FP8 Products",
        description=(
            "Let large networks multiply 8-bit floating point numbers, which newer graphics cards do faster. "
            "The result differs somewhat"
        ),
    )


def in_8_bits(sampling):
    """Whether the weights of the large networks are kept at 8 bits."""
    return sampling.int8 or sampling.fp8


def asked(sampling, kind):
    """What a request of ``kind`` ("generate", "texture") says of its samplers, as the panel has it; often nothing."""
    chosen = {}
    for stage in STAGES[kind]:
        sampler = getattr(sampling, stage)
        # Without the noise of single precision.
        values = {value: round(getattr(sampler, name), 4) for value, name, use in VALUES if getattr(sampler, use)}
        if values:
            chosen[stage] = values
    return chosen


def take(sampling, samplers):
    """Set the panel to the ``samplers`` of a request; what they do not say is the model's own.

    Raises TypeError, ValueError or AttributeError for what the panel cannot show.
    """
    for stage in STAGES["generate"]:
        for name in ESPALIER_PG_sampler.__annotations__:
            getattr(sampling, stage).property_unset(name)
    known = {value: (name, use) for value, name, use in VALUES}
    for stage, values in samplers.items():
        if stage not in STAGES["generate"]:
            raise ValueError(stage)
        sampler = getattr(sampling, stage)
        for value, chosen in values.items():
            if value not in known:
                raise ValueError(value)
            name, use = known[value]
            setattr(sampler, use, True)
            setattr(sampler, name, chosen)
