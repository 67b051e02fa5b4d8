"""Per-use gradients of one step on a fixed global batch, in one process or in two, without Lightning.

Usage: uses_worker.py OUT RANK SIZE. The processes meet in the file OUT/store; each writes OUT/size<n>-rank<r>.pt.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from lightning_tying import get_plan, tie
from lightning_tying.gradients.catch import catch_uses
from lightning_tying.gradients.shared import find_shared
from lightning_tying.gradients.sinks import ExactSink, SketchSink, StreamingSink
from lightning_tying.models import DecoderLM
from lightning_tying.parallel.tensor.plan import apply_tensor_parallel, plan_tensor_parallel

CYCLE = {"share": [{"tie": ["embed.weight", "head.weight"]}, "layers.{l}.{name*} = block[name, cycle(l, 2)]"]}
MATRICES = {"sites": "layers.{l}.{name*}", "where": "ndim == 2"}
DELTA = {"share": [{**MATRICES, "equals": "block[name] + low_rank(2)"}, "head.weight = E", "embed.weight = E"]}
SIZE = 1024


def build(spec: dict[str, Any]) -> DecoderLM:
    torch.manual_seed(0)
    network = DecoderLM(vocab_size=50, dim=16, depth=4, heads=2)
    tie(network, spec)
    return network


def ddp(network: DecoderLM) -> nn.Module:
    return DistributedDataParallel(network)


def fsdp(network: DecoderLM) -> nn.Module:
    fully_shard([network.embed, network.head])
    fully_shard([network.layers[0], network.layers[2]])
    fully_shard([network.layers[1], network.layers[3]])
    return fully_shard(network)


def fsdp_whole(network: DecoderLM) -> nn.Module:
    return fully_shard(network)


def tensor_parallel(network: DecoderLM) -> nn.Module:
    plan = plan_tensor_parallel(get_plan(network).graph, network, size=2)
    apply_tensor_parallel(network, plan, init_device_mesh("cpu", (2,), mesh_dim_names=("tensor_parallel",)))
    return network


CASES: dict[str, tuple[Callable[[DecoderLM], nn.Module], dict[str, Any]]] = {
    "ddp": (ddp, CYCLE),
    "ddp-delta": (ddp, DELTA),
    "fsdp": (fsdp, CYCLE),
    "fsdp-delta": (fsdp_whole, DELTA),
    "tensor_parallel": (tensor_parallel, CYCLE),
}


def whole(tensor: Tensor | None) -> Tensor | None:
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def step(case: str, rank: int, size: int) -> dict[str, Any]:
    distribute, spec = CASES[case]
    network = build(spec)
    called = network if size == 1 else distribute(network)
    tokens = torch.randint(50, (8, 9), generator=torch.Generator().manual_seed(1))
    if size > 1 and case != "tensor_parallel":
        tokens = tokens[rank::size]
    sinks = ExactSink(), SketchSink(SIZE), StreamingSink(keep_sums=True)
    with catch_uses(network, sink=sinks[0]), catch_uses(network, sink=sinks[1]), catch_uses(network, sink=sinks[2]):
        logits = called(tokens[:, :-1])
        functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).backward()
    exact, sketch, stream = (sink.finish() for sink in sinks)
    shared = find_shared(network)
    sums, gradients = sinks[2].sums(), {name: whole(each.parameter().grad) for name, each in shared.items()}
    return {
        str(group): {
            "keys": [str(key) for key in found.keys],
            "norms": torch.tensor(found.norms),
            "gram": found.gram,
            "sketch_gram": sketch[group].gram,
            "sketch_error": sketch[group].cosine_error,
            "stream_norms": torch.tensor(stream[group].norms),
            "sum_norm": found.sum_norm,
            "sum": sums[group],
            "kept": sinks[0].sums()[group],
            "grad": gradients[group],
        }
        for group, found in exact.items()
    }


if __name__ == "__main__":
    out, rank, size = Path(sys.argv[1]), int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    torch.set_num_threads(1)
    if size > 1:
        distributed.init_process_group("gloo", init_method=f"file://{out}/store", rank=rank, world_size=size)
    torch.save({case: step(case, rank, size) for case in CASES}, out / f"size{size}-rank{rank}.pt")
    if size > 1:
        distributed.destroy_process_group()
