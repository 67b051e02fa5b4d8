"""Random small modules: what they are made of as data that Hypothesis shrinks, and the module that it stands for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import torch
from hypothesis import strategies as st
from torch import nn


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q, self.k = nn.Linear(4, 4), nn.Linear(4, 4, bias=False)
        self.up, self.down = nn.Linear(4, 6), nn.Linear(6, 4)
        self.norm = nn.LayerNorm(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x + self.down(torch.tanh(self.up(self.q(x) * self.k(x)))))


class Stack(nn.Module):
    def __init__(self, depth: int = 3) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(depth))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)
        return x


class Loose(nn.Module):
    """Parameters of its own, one of them in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(4))
        self.tables = nn.ParameterList(nn.Parameter(torch.randn(4, 4)) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for table in self.tables:
            x = torch.tanh(x @ table)
        return x * self.gain


KINDS = {
    "linear": lambda: nn.Linear(4, 4),
    "bare": lambda: nn.Linear(4, 4, bias=False),
    "wide": lambda: nn.Linear(4, 6),
    "embedding": lambda: nn.Embedding(6, 4),
    "conv1d": lambda: nn.Conv1d(4, 4, 3, padding=1),
    "conv2d": lambda: nn.Conv2d(3, 4, 3, padding=1, bias=False),
    "norm": lambda: nn.LayerNorm(4),
    "lstm": lambda: nn.LSTM(4, 4, num_layers=2),
    "gru": lambda: nn.GRU(4, 4, bidirectional=True),
    "attention": lambda: nn.MultiheadAttention(4, 2),
    "encoder": lambda: nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True),
    "stack": Stack,
    "loose": Loose,
}


class Zoo(nn.Module):
    """Each part reads its own input; the output mixes them all."""

    def __init__(self, kinds: tuple[str, ...], twice: int | None) -> None:
        super().__init__()
        self.parts = nn.ModuleList(KINDS[kind]() for kind in kinds)
        self.again = self.parts[twice % len(kinds)] if twice is not None else None

    def forward(self) -> torch.Tensor:
        outputs = [read(part, place) for place, part in enumerate(self.parts)]
        if self.again is not None:
            outputs.append(read(self.again, 7))
        return torch.cat([output.double().flatten() for output in outputs])


def read(part: nn.Module, place: int) -> torch.Tensor:
    dtype = next(parameter.dtype for parameter in part.parameters())
    x = torch.linspace(-1, 1 + 0.1 * place, 12, dtype=torch.float64).to(dtype).reshape(3, 4)
    match part:
        case nn.Embedding():
            return part(torch.arange(12).reshape(3, 4) % 6)
        case nn.MultiheadAttention():
            return part(x, x, x)[0]
        case nn.Conv1d():
            return part(x.t())
        case nn.Conv2d():
            return part(x.expand(3, 3, 4))
        case nn.RNNBase():
            return part(x)[0]
        case nn.TransformerEncoderLayer():
            return part(x[None])
        case _:
            return part(x)


@dataclass(frozen=True)
class Recipe:
    """A module as data: `twice` is a part under a second path, `hand` two sites of one shape that are tied by hand."""

    kinds: tuple[str, ...]
    twice: int | None = None
    hand: tuple[str, str] | None = None
    dtypes: tuple[str, ...] = ("float64",)
    frozen: tuple[str, ...] = ()
    device: str = "cpu"

    def build(self, seed: int = 1) -> Zoo:
        torch.manual_seed(seed)
        module = Zoo(self.kinds, self.twice)
        for place, part in enumerate(module.parts):
            part.to(getattr(torch, self.dtypes[place % len(self.dtypes)]))
        module = module.to(self.device)
        if self.hand is not None:
            keep(module, self.hand[1], module.get_parameter(self.hand[0]))
        for site in self.frozen:
            module.get_parameter(site).requires_grad_(False)
        return module

    @property
    def exact(self) -> bool:
        return self.dtypes == ("float64",)


def keep(module: nn.Module, site: str, parameter: nn.Parameter) -> None:
    path, _, name = site.rpartition(".")
    setattr(module.get_submodule(path), name, parameter)


@cache
def shapes_of(kinds: tuple[str, ...], twice: int | None) -> dict[str, tuple[int, ...]]:
    """Every FQN with its shape, in model order."""
    module = Zoo(kinds, twice)
    return {name: tuple(p.shape) for name, p in module.named_parameters(remove_duplicate=False)}


@st.composite
def recipes(draw: st.DrawFn, *, exact: bool = False, odd: bool = True) -> Recipe:
    """`exact`: float64 on the CPU; `odd`: with modules at two paths, ties by hand, frozen parameters."""
    kinds = tuple(draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=3)))
    recipe = Recipe(kinds)
    if odd and draw(st.integers(0, 3)) == 3:
        recipe = replace(recipe, twice=draw(st.integers(0, 2)))
    shapes = shapes_of(kinds, recipe.twice)
    if odd and draw(st.integers(0, 4)) == 4:
        pairs = [(a, b) for a in shapes for b in shapes if a < b and shapes[a] == shapes[b]]
        pairs = [pair for pair in pairs if not any("again" in site for site in pair)]
        recipe = replace(recipe, hand=draw(st.sampled_from(pairs)) if pairs else None)
    if odd and draw(st.integers(0, 4)) == 4:
        frozen = draw(st.lists(st.sampled_from(sorted(shapes)), max_size=3))
        recipe = replace(recipe, frozen=tuple(frozen))
    if not exact:
        dtypes = draw(st.sampled_from([("float64",), ("float32",), ("float32", "bfloat16"), ("float16",)]))
        hand = recipe.hand if len(dtypes) == 1 else None
        recipe = replace(recipe, hand=hand, dtypes=dtypes, device=draw(st.sampled_from(["cpu", "cpu", "meta"])))
    return recipe
