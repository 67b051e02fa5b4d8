"""The specs of the matrix, one entry each: a network, what it shares, its batches, its loss and its formula by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Generator, Tensor, nn

from tests.matrix import by_hand_values as formulas
from tests.matrix import networks as nets

EMBED_AND_HEAD = {"tie": ["embed.weight", "head.weight"], "name": "E"}
BLOCKS = "layers.{l}.{name*} = block[name, l % 2]"


@dataclass(frozen=True)
class Case:
    """A row of the table.

    Args:
        title: what the spec shares, for the table.
        network: makes the untied network.
        share: the spec's equations.
        formula: the sites' values in plain torch.
        loss: network and batch to a mean over the batch's rows.
        draw: makes a global batch of 8 rows.
        parameters: the spec's policies.
    """

    title: str
    network: Callable[[], nn.Module]
    share: tuple[Any, ...]
    formula: formulas.ByHand
    loss: Callable[[nn.Module, Tensor], Tensor] = nets.predict_next
    draw: Callable[[Generator], Tensor] = nets.draw_tokens
    parameters: tuple[tuple[str, dict[str, Any]], ...] = ()

    @property
    def spec(self) -> dict[str, Any]:
        """The sharing spec."""
        return {"share": list(self.share)} | ({"parameters": dict(self.parameters)} if self.parameters else {})


CASES: dict[str, Case] = {
    "three-way": Case(
        "three-way tie: encoder, decoder, head",
        nets.translator,
        ({"tie": ["encoder.embed.weight", "decoder.embed.weight", "head.weight"], "name": "vocabulary"},),
        formulas.three_way,
        nets.copy_reversed,
    ),
    "albert": Case(
        "ALBERT: one block", nets.classifier, ("layers.{l}.{name*} = block[name]",), formulas.albert, nets.classify
    ),
    "cycle": Case("cycle of two blocks, embedding = head", nets.decoder, (BLOCKS, EMBED_AND_HEAD), formulas.cycle),
    "delta": Case(
        "delta: cycle + low_rank",
        nets.decoder,
        (
            {
                "sites": "layers.{l}.{name*}.weight",
                "equals": "W[name, l % 2] + low_rank(2)",
                "where": "ndim == 2",
                "init": {"W": "mean", "low_rank": "svd"},
            },
        ),
        formulas.delta,
    ),
    "mix": Case("mix of two templates", nets.decoder, ("layers.{l}.attn.{m}.weight = mix(D[m], 2)",), formulas.mix),
    "hashed": Case(
        "hashed to a quarter",
        nets.decoder,
        ("layers.{l}.mlp.{m}.weight = hashed(pool[m])",),
        formulas.hashed,
        parameters=(("pool", {"shape": ["numel // 4"]}),),
    ),
    "rows": Case(
        "rows: two words on one vector",
        nets.decoder,
        ("embed.weight = rows(T, i0 // 2)", "head.weight = rows(T, i0 // 2)"),
        formulas.rows,
    ),
    "transposed": Case(
        "transposed: down = upᵀ",
        nets.decoder,
        ("layers.{l}.mlp.up.weight = W[l // 2]", "layers.{l}.mlp.down.weight = t(W[l // 2])"),
        formulas.transposed,
    ),
    "frozen": Case(
        "frozen table, cycle of two blocks",
        nets.decoder,
        (BLOCKS, EMBED_AND_HEAD),
        formulas.cycle,
        parameters=(("E", {"frozen": True}),),
    ),
    "gradient": Case(
        "per-use gradient scale",
        nets.decoder,
        ({"sites": "embed.weight", "equals": "E", "grad": {"scale": 5.0}}, "head.weight = E"),
        formulas.scaled_gradient,
    ),
    "two-tower": Case(
        "two towers",
        nets.Towers,
        ("towers.{t}.{name*} = trunk[name]",),
        formulas.two_towers,
        nets.meet,
        nets.draw_pairs,
    ),
    "lstm": Case(
        "LSTM: embedding = head, one bias",
        nets.recurrent,
        ({"tie": ["embed.weight", "head.weight"]}, "rnn.bias_{s:ih|hh}_l{l:int} = 0.5 * b[l]"),
        formulas.lstm,
    ),
    "hadamard": Case(
        "alias beside slot: U, U * V, V",
        nets.decoder,
        ("layers.0.attn.q.weight = U", "layers.1.attn.q.weight = U * V", "layers.2.attn.q.weight = V"),
        formulas.hadamard,
    ),
}
