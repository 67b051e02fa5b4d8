"""The random generators of this process: their states come out as plain tensors and numbers, and go in again."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
import torch


def read_states() -> dict[str, Any]:
    """The states of torch (CPU and CUDA), numpy and Python; `torch.load` takes them with `weights_only=True`."""
    version, words, gauss = random.getstate()
    legacy = np.random.get_state(legacy=False)
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "python": {"version": version, "words": torch.tensor(words, dtype=torch.int64), "gauss": gauss},
        "numpy": {
            "kind": str(legacy["bit_generator"]),
            "words": torch.tensor(legacy["state"]["key"].astype(np.int64)),
            "position": int(legacy["state"]["pos"]),
            "has_gauss": int(legacy["has_gauss"]),
            "gauss": float(legacy["gauss"]),
        },
    }


def write_states(states: Mapping[str, Any]) -> None:
    """Take up what `read_states` gave; the CUDA states only where there are as many devices.

    Raises:
        RuntimeError, TypeError, ValueError, KeyError, AttributeError: the states are damaged.
    """
    python, legacy = states["python"], states["numpy"]
    random.setstate((python["version"], tuple(python["words"].tolist()), python["gauss"]))
    np.random.set_state(
        {
            "bit_generator": legacy["kind"],
            "state": {"key": legacy["words"].cpu().numpy().astype(np.uint32), "pos": legacy["position"]},
            "has_gauss": legacy["has_gauss"],
            "gauss": legacy["gauss"],
        }
    )
    torch.set_rng_state(states["torch"].cpu())
    devices = [state.cpu() for state in states["cuda"]]
    if devices and len(devices) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(devices)


def derive_states(states: Mapping[str, Any], number: int) -> dict[str, Any]:
    """States that follow from others and a number alone; this process's generators stay as they are."""
    content = states["torch"].cpu().numpy().tobytes() + number.to_bytes(8, "little")
    seed = int.from_bytes(sha256(content).digest()[:4], "little")
    kept = read_states()
    try:
        random.seed(seed)
        np.random.seed(seed)
        torch.default_generator.manual_seed(seed)
        return read_states()
    finally:
        write_states(kept)


def choose_states(states: Sequence[Mapping[str, Any]], rank: int) -> Mapping[str, Any]:
    """The states that a process takes up.

    Args:
        states: of every process that saved them; at least one.
        rank: the number of the process; where it is beyond, it gets states that follow from the first and its number,
            or the first if several were saved and all were equal.
    """
    first = states[0]
    if rank < len(states):
        return states[rank]
    equal = all(torch.equal(state["torch"], first["torch"]) for state in states[1:])
    return first if equal and len(states) > 1 else derive_states(first, rank)
