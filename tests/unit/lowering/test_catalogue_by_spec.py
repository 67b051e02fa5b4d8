"""One line of a spec for each function: the shapes that follow from the site, and the value, by plain torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_tying import tie

Slots = dict[str, Tensor]


def keep_largest(a: Tensor, count: int, fill: float) -> Tensor:
    return torch.where(a >= a.topk(count, -1).values[..., -1:], a, fill)


def contract_cores(s: Slots) -> Tensor:
    whole = torch.einsum("arcb,bsdt,tuev->rsucde", s["G"], s["G_2"], s["G_3"])
    return whole.reshape(8, 8)[:7]


def enlarge(x: Tensor, rows: int, columns: int) -> Tensor:
    return nn.functional.interpolate(x[None, None], size=(rows, columns), mode="bilinear", align_corners=False)[0, 0]


# site, value, declared shapes, shapes of the slots, formula
CASES: list[tuple[list[int], str, dict[str, Any], dict[str, tuple[int, ...]], Callable[[Slots], Tensor]]] = [
    ([3, 5], "t(W)", {}, {"W": (5, 3)}, lambda s: s["W"].T),
    ([3, 4], "reshape(W)", {"W": [12]}, {}, lambda s: s["W"].reshape(3, 4)),
    ([3, 4, 5], "permute(W, 2, 0, 1)", {}, {"W": (4, 5, 3)}, lambda s: s["W"].permute(2, 0, 1)),
    ([3, 4], "flip(W, 0, -1)", {}, {}, lambda s: s["W"].flip(0, 1)),
    ([3, 4], "roll(W, 2, dim=1)", {}, {}, lambda s: s["W"].roll(2, 1)),
    ([2, 3, 4], "rot90(W)", {}, {"W": (2, 4, 3)}, lambda s: torch.rot90(s["W"], 1, (1, 2))),
    ([3, 4], "slice(W, 1, 5, dim=-1)", {"W": ["_", 9]}, {"W": (3, 9)}, lambda s: s["W"][:, 1:5]),
    ([3, 4], "slice(W, 2, 5)", {}, {"W": (5, 4)}, lambda s: s["W"][2:]),
    ([8, 4], "rows(W, i0 // 3, block=2)", {}, {"W": (4, 4)}, lambda s: s["W"][[0, 1] * 3 + [2, 3]]),
    ([2, 3], "gather(W, (i0 + 2 * i1) % 5)", {}, {"W": (5,)}, lambda s: s["W"][torch.tensor([[0, 2, 4], [1, 3, 0]])]),
    ([4], "gather(W, i0 - 1, outside=7)", {"W": [2]}, {}, lambda s: torch.stack([_7, *s["W"], _7])),
    ([12, 4], "repeat(W, 3, block=2)", {}, {"W": (4, 4)}, lambda s: s["W"][[0, 1] * 3 + [2, 3] * 3]),
    (
        [7, 4],
        "concat(X, Y, Z)",
        {"Y": [3, "_"]},
        {"X": (2, 4), "Z": (2, 4)},
        lambda s: torch.cat([s[x] for x in "XYZ"]),
    ),
    ([3, 4], "mask(W, i0 >= i1)", {}, {}, lambda s: s["W"].tril()),
    ([3, 4], "einsum('or,ri->oi', X, Y, r=2)", {}, {"X": (3, 2), "Y": (2, 4)}, lambda s: s["X"] @ s["Y"]),
    ([3, 4], "scale(W)", {}, {"scale_s": ()}, lambda s: s["scale_s"] * s["W"]),
    ([3, 4], "scale(W, dim=0)", {}, {"scale_s": (3,)}, lambda s: s["scale_s"][:, None] * s["W"]),
    ([3, 5], "diag(W)", {}, {"W": (3,)}, lambda s: torch.cat([s["W"].diag(), torch.zeros(3, 2).double()], 1)),
    (
        [3, 2, 2],
        "low_rank(2)",
        {},
        {"low_rank_A": (2, 4), "low_rank_B": (3, 2)},
        lambda s: (s["low_rank_B"] @ s["low_rank_A"]).reshape(3, 2, 2),
    ),
    ([3, 4], "mix(T, 3)", {}, {"T": (3, 3, 4), "mix_a": (3,)}, lambda s: torch.tensordot(s["mix_a"], s["T"], 1)),
    ([3, 4], "mix(T, 3, softmax=True)", {}, {}, lambda s: torch.tensordot(s["mix_a"].softmax(0), s["T"], 1)),
    ([3, 4], "mix(T, 3, top=2)", {}, {}, lambda s: torch.tensordot(keep_largest(s["mix_a"], 2, 0), s["T"], 1)),
    (
        [3, 4],
        "mix(T, 5, softmax=True, top=2, block=6)",
        {},
        {"T": (5, 6), "mix_a": (2, 5)},
        lambda s: (keep_largest(s["mix_a"], 2, -torch.inf).softmax(-1) @ s["T"]).reshape(3, 4),
    ),
    ([3, 4], "basis(X, 2)", {}, {"X": (2, 4), "basis_C": (3, 2)}, lambda s: s["basis_C"] @ s["X"]),
    ([6, 8], "kron(X, Y)", {"X": [2, 2]}, {"Y": (3, 4)}, lambda s: torch.kron(s["X"], s["Y"])),
    ([6, 8], "kron(X, Y)", {"X": [2, 3, 2]}, {"Y": (2, 2, 4)}, lambda s: sum(map(torch.kron, s["X"], s["Y"]))),
    ([7, 8], "tt(G, [2, 2, 2], [2, 2, 2], 3)", {}, {"G": (1, 2, 2, 3), "G_3": (3, 2, 2, 1)}, contract_cores),
    ([6, 4], "resize(X)", {"X": [3, 9]}, {}, lambda s: enlarge(s["X"], 6, 4)),
    ([6, 4], "resize(X, [3, 5])", {"X": [20]}, {}, lambda s: enlarge(s["X"][:15].reshape(3, 5), 6, 4)),
    ([6, 4, 2], "resize(X)", {"X": [3, 9]}, {}, lambda s: enlarge(s["X"], 6, 8).reshape(6, 4, 2)),
    ([3, 4], "normalize(W)", {}, {}, lambda s: s["W"] / s["W"].norm(dim=1, keepdim=True)),
    ([3, 4], "softmax(W, dim=0)", {}, {}, lambda s: s["W"].softmax(0)),
    ([3, 4], "tanh(W) * sigmoid(V) - exp(U)", {}, {}, lambda s: s["W"].tanh() * s["V"].sigmoid() - s["U"].exp()),
    ([3, 4], "-(2 * W - V / d1) * g + 1", {"g": []}, {"g": ()}, lambda s: -(2 * s["W"] - s["V"] / 4) * s["g"] + 1),
    ([3, 4], "X @ t(Y)", {"X": ["_", 2]}, {"X": (3, 2), "Y": (4, 2)}, lambda s: s["X"] @ s["Y"].T),
]
_7 = torch.tensor(7.0).double()


@pytest.mark.filterwarnings("ignore::lightning_tying.errors.SharingWarning")
@pytest.mark.parametrize(("site", "value", "declared", "shapes", "formula"), CASES, ids=[case[1] for case in CASES])
def test_value(
    site: list[int],
    value: str,
    declared: dict[str, Any],
    shapes: dict[str, tuple[int, ...]],
    formula: Callable[[Slots], Tensor],
) -> None:
    torch.manual_seed(0)
    module = nn.Module()
    module.register_parameter("w", nn.Parameter(torch.randn(site, dtype=torch.float64)))
    tie(module, {"share": [f"w = {value}"], "parameters": {name: {"shape": shape} for name, shape in declared.items()}})
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()

    slots = {name.rpartition(".")[2]: parameter.detach() for name, parameter in module.named_parameters()}

    assert {name: tuple(slots[name].shape) for name in shapes} == shapes
    torch.testing.assert_close(module.w.detach(), formula(slots), rtol=0, atol=1e-12)
