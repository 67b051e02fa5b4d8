"""A tied network that is going to be run by DeepSpeed in; nothing out, or a refusal of what ZeRO would part."""

from __future__ import annotations

from torch import nn

from lightning_tying.errors import ApplyError
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.lowering.resolve import find_slots, walk_modules
from lightning_tying.lowering.runtime.readers import reads_others


def check_deepspeed(root: nn.Module, graph: SharingGraph, stage: int, *, tied: nn.Module | None = None) -> None:
    """Refuse what DeepSpeed is known to part or to read wrongly.

    ZeRO stage 3 gathers a parameter when the module that holds it is called. A module that reads the weights of a
    module inside it without calling it (`nn.MultiheadAttention`, the layers of `nn.TransformerEncoder`) finds an empty
    tensor, or another rank's part broadcast.

    Args:
        root: what DeepSpeed gets.
        graph: of the plan.
        stage: of ZeRO.
        tied: the tied network inside `root`; by default `root` itself.

    Raises:
        ApplyError: with the site, its reader and what to do.
    """
    for path, module in walk_modules(root):
        if type(module).__name__ == "PipelineModule" and type(module).__module__.startswith("deepspeed"):
            where = path or "The module"
            raise ApplyError(
                f"{where} is a PipelineModule of DeepSpeed, whose stages hold copies: a tie over two stages is lost. "
                "Use its own TiedLayerSpec, or another strategy."
            )
    if stage < 3:
        return
    held = {id(slot.module): place for place, slot in find_slots(tied or root, _places(graph)).items()}
    for path, module in walk_modules(root):
        if not reads_others(type(module)):
            continue
        for inner in module.modules():
            if inner is not module and id(inner) in held:
                raise ApplyError(
                    f"{held[id(inner)]} is shared, and {path or 'the root'} ({type(module).__name__}) reads it without "
                    "calling its module, so ZeRO stage 3 does not gather it. Use stage 2, or FSDP2: "
                    "strategy=ModelParallelStrategy(tensor_parallel_size=1)."
                )


def _places(graph: SharingGraph) -> list[str]:
    return [use.place for group, use in graph.uses() if len(group.uses) > 1]
