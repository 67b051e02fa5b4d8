"""Is planning linear in the number of sites, and what does a tie cost per site? Aliases and derived sites."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import torch
from torch import nn
from torch.nn.utils import parametrize

from benchmarks.measure import Timing, time_in_turn, write_result
from lightning_tying import make_plan, tie

SIZES = (1_000, 10_000, 100_000)
TENSORS = 10  # in each layer
SPEC = {"share": [{"sites": "layers.{l}.{name*}", "equals": "block[name, l // 2]", "except": "layers.*.t0.weight"}]}
LLAMA = {
    "share": [
        "model.layers.{l}.{name*} = block[name, l // 2]",
        {"tie": ["model.embed_tokens.weight", "lm_head.weight"]},
    ]
}
DERIVED = {"share": ["layers.{l}.{name*} = block[name, l % 2] + low_rank(1)"]}
_LLAMA_LAYER = (
    *(f"self_attn.{m}_proj" for m in "qkvo"),
    *(f"mlp.{m}_proj" for m in ("gate", "up", "down")),
    "input_layernorm",
    "post_attention_layernorm",
)


def _holder(root: nn.Module, path: str, device: str, shape: tuple[int, ...] = (4, 4)) -> None:
    module = root
    for segment in path.split("."):
        if segment not in module._modules:
            module.add_module(segment, nn.Module())
        module = module.get_submodule(segment)
    module.weight = nn.Parameter(torch.empty(shape, device=device))


def _layered(sites: int, device: str = "meta") -> nn.Module:
    """A module with `sites` parameters in layers of ten."""
    root = nn.Module()
    for number in range(sites // TENSORS):
        for place in range(TENSORS):
            _holder(root, f"layers.{number}.t{place}", device)
    return root


def _llama() -> nn.Module:
    """The 723 sites of a Llama of 80 layers, small and on meta."""
    root = nn.Module()
    paths = [f"model.layers.{number}.{name}" for number in range(80) for name in _LLAMA_LAYER]
    for path in ("model.embed_tokens", *paths, "model.norm", "lm_head"):
        _holder(root, path, "meta")
    return root


def _time_tie(make: Callable[[], nn.Module], spec: Mapping[str, object], rounds: int) -> Timing:
    """Seconds of applying a plan that has been made; a module can be tied once only."""
    seconds: list[float] = []
    for _ in range(rounds):
        module = make()
        plan = make_plan(module, dict(spec))
        start = time.perf_counter()
        tie(module, plan)
        seconds.append(time.perf_counter() - start)
    return Timing(tuple(seconds))


class _Sum(nn.Module):
    """The least that a parametrization by hand needs for `W + B A`."""

    def __init__(self, w: nn.Parameter) -> None:
        super().__init__()
        self.w = w
        self.a, self.b = (nn.Parameter(torch.empty(size, device="meta")) for size in ((1, 4), (4, 1)))

    def forward(self, original: torch.Tensor) -> torch.Tensor:
        return self.w + self.b @ self.a + original


def _time_by_hand(rounds: int) -> Timing:
    """Seconds of registering the same values with torch's own function, `unsafe`, so that nothing is computed."""
    seconds: list[float] = []
    for _ in range(rounds):
        holders = [module for module in _layered(1_000).modules() if "weight" in module._parameters]
        shared = nn.Parameter(torch.empty(4, 4, device="meta"))
        start = time.perf_counter()
        for holder in holders:
            parametrize.register_parametrization(holder, "weight", _Sum(shared), unsafe=True)
        seconds.append(time.perf_counter() - start)
    return Timing(tuple(seconds))


def _probe() -> float:
    """Seconds of a plain Python loop: on a machine that others use too it says how fast this minute is."""
    start, total = time.perf_counter(), 0
    for number in range(5_000_000):
        total += number
    return time.perf_counter() - start


def main() -> None:
    probe = _probe()
    modules = {size: _layered(size) for size in SIZES}
    llama = _llama()
    sides: dict[str, Callable[[], object]] = {
        str(size): lambda module=module: make_plan(module, SPEC) for size, module in modules.items()
    }
    sides["llama"] = lambda: make_plan(llama, LLAMA)
    timings = time_in_turn(sides, rounds=7, warmup=1)
    aliased = _time_tie(lambda: _layered(10_000), SPEC, rounds=5)
    derived = _time_tie(lambda: _layered(1_000, "cpu"), DERIVED, rounds=5)
    by_hand = _time_by_hand(rounds=5)
    derived_meta = _time_tie(lambda: _layered(1_000), DERIVED, rounds=5)
    rows = [
        f"| {size:,} | {timings[str(size)].median:.3f} s | {1e6 * timings[str(size)].median / size:.1f} µs |"
        for size in SIZES
    ]
    growth = timings["100000"].median / timings["10000"].median
    body = "\n".join(["| sites | `make_plan`, median of 7 | per site |", "|---|---|---|", *rows])
    ratio = aliased.median / timings["10000"].median
    write_result(
        "planning",
        "Planning and tying against the number of sites",
        "One equation with two holes and one exception, two uses of each parameter. A plain Python loop of five "
        f"million additions took {probe:.2f} s at the start and {_probe():.2f} s at the end.\n\n{body}\n\n"
        f"t(100,000) / t(10,000) = **{growth:.1f}** (10 is linear). The 723 sites of an 80-layer Llama: "
        f"**{timings['llama']}**.\n\n"
        f"Tying 10,000 alias sites by a plan: {aliased.median:.3f} s, **{ratio:.2f}** of planning them. A site that "
        f"reads `block[…] + low_rank(1)`: **{1e6 * derived_meta.median / 1000:.0f} µs** on meta, "
        f"{1e6 * derived.median / 1000:.0f} µs with its initial values; by torch's own `register_parametrization` "
        f"alone, without a plan, hooks or checks: {1e6 * by_hand.median / 1000:.0f} µs.",
    )


if __name__ == "__main__":
    main()
