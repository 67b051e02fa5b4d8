"""One process of a tensor-parallel group, without Lightning: trains a tied network and writes losses and weights.

Usage: tensor_parallel_worker.py OUT RANK SIZE CASES; the processes of a group meet in the file OUT/store. One process
alone trains the network as it is.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor
from torch.nn import functional

from lightning_tying import tie, verify
from lightning_tying.models import DecoderLM, EncoderDecoder
from lightning_tying.parallel.tensor.plan import apply_tensor_parallel, plan_tensor_parallel

STEPS, VOCABULARY = 5, 50
CYCLE = "layers.{l}.{name*} = block[name, cycle(l, 2)]"
PAIR = {"tie": ["embed.weight", "head.weight"]}
SPECS: dict[str, list[Any]] = {
    "aliases": [PAIR, CYCLE],
    "parts": [
        {"sites": "layers.{l}.attn.{name}.weight", "equals": "mix(T[name], 2)"},
        {"sites": "layers.{l}.mlp.{name:gate|down}.weight", "equals": "Q[name] + low_rank(2)"},
        {"sites": "layers.{l}.mlp.up.weight", "equals": "scale(t(t(U)), 0) * 2 + A @ B"},
        "embed.weight = E",
        {"sites": "head.weight", "equals": "E", "grad": {"scale": 0.5}},
    ],
    "whole": [
        {"sites": "layers.{l}.mlp.{name*}.weight", "equals": "hashed(C[name])"},
        {"sites": "layers.{l}.attn.o.weight", "equals": "normalize(O) * 3"},
        "layers.{l}.norm1.weight = N * M[l]",
        "embed.weight = E",
        "head.weight = permute(flip(E, 1), 0, 1)",
    ],
    "translation": [
        {"tie": ["encoder.embed.weight", "decoder.embed.weight", "head.weight"]},
        "{half:encoder|decoder}.layers.{l}.{name*} = block[half, name]",
    ],
}
SIZES = {"whole": {"C": {"shape": [100]}}, "parts": {"A": {"shape": [32, 3]}, "B": {"shape": [3, 16]}}}


def build(case: str) -> nn.Module:
    torch.manual_seed(1)
    if case == "translation":
        network: nn.Module = EncoderDecoder(VOCABULARY, dim=16, depth=2, heads=2, dropout=0.0)
    else:
        network = DecoderLM(VOCABULARY, dim=16, depth=3, heads=4, kv_heads=2, hidden=32)
    sizes = {"parameters": SIZES[case]} if case in SIZES else {}
    tie(network, {"share": SPECS[case], **sizes})
    return network


def train(case: str, size: int) -> dict[str, Any]:
    network = build(case)
    told = ""
    if size > 1:
        from lightning_tying import get_plan

        if distributed.get_rank():  # what the others drew must not matter
            with torch.no_grad():
                for parameter in network.parameters():
                    parameter.add_(1)
        plan = plan_tensor_parallel(get_plan(network).graph, network, size=size)
        apply_tensor_parallel(network, plan, init_device_mesh("cpu", (size,), mesh_dim_names=("tensor_parallel",)))
        told = str(plan)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2, eps=1e-4)  # eps: rounding is no gradient
    losses: list[float] = []
    norms: list[float] = []
    for step in range(STEPS):
        tokens = torch.randint(1, VOCABULARY, (4, 9), generator=torch.Generator().manual_seed(step))
        logits = network(tokens[:, :-1]) if case != "translation" else network(tokens, tokens[:, :-1])
        loss = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        norms.append(float(norm.full_tensor() if isinstance(norm, DTensor) else norm))
        optimizer.step()
        losses.append(loss.item())
    verify(network)
    weights = {name: _whole(parameter.detach()) for name, parameter in network.named_parameters()}
    local = sum((p.to_local() if isinstance(p, DTensor) else p).numel() for p in network.parameters())
    return {"losses": losses, "norms": norms, "weights": weights, "plan": told, "local": local}


def _whole(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


if __name__ == "__main__":
    out, cases = Path(sys.argv[1]), sys.argv[2].split(",")
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    torch.set_num_threads(1)
    if size > 1:
        distributed.init_process_group("gloo", init_method=f"file://{out}/store", rank=rank, world_size=size)
    torch.save({case: train(case, size) for case in cases}, out / f"size{size}-rank{rank}.pt")
    if size > 1:
        distributed.destroy_process_group()
