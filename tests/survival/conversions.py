"""Rows of the survival table: moving and converting, by torch's conversion flags, and becoming real from meta."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from lightning_tying.api import tie
from tests.survival.cases import DRAWN, SPECS, Kind, Net, make, refill
from tests.survival.operation import HOLDS, RESTORED, Operation, detected, every

FLAGS: dict[str, Callable[[bool], None]] = {
    "": lambda _on: None,
    "overwrite": torch.__future__.set_overwrite_module_params_on_conversion,
    "swap": torch.__future__.set_swap_module_params_on_conversion,
}


@contextmanager
def flag(name: str) -> Iterator[None]:
    """One of torch's ways of converting a module."""
    FLAGS[name](True)
    try:
        yield
    finally:
        FLAGS[name](False)


def converted(dtype: torch.dtype, name: str) -> Callable[[Net, Kind], nn.Module]:
    def run(net: Net, _kind: Kind) -> nn.Module:
        with flag(name):
            return net.to(dtype)

    return run


def back_and_forth(net: Net, _kind: Kind) -> nn.Module:
    return net.half().double().bfloat16().float()


def made_real(net: Net, kind: Kind) -> nn.Module:
    """Built, tied and made real on meta: the declared init is drawn, everything else is loaded."""
    del net
    with torch.device("meta"):
        lazy = Net()
    tie(lazy, SPECS[kind] | DRAWN)
    lazy.to_empty(device="cpu")
    expected = Net()
    tie(expected, SPECS[kind] | DRAWN)
    shared = {name: value for name, value in expected.state_dict().items() if name.endswith(("one.weight", ".W"))}
    for name, value in shared.items():
        assert torch.equal(lazy.state_dict()[name], value), f"{name} is not drawn by its init"
    lazy.load_state_dict(make(kind).state_dict())
    return lazy


def emptied(net: Net, _kind: Kind) -> nn.Module:
    net.to_empty(device="cpu")
    return refill(net)


def to_meta_and_back(net: Net, _kind: Kind) -> nn.Module:
    net.to("meta").to_empty(device="cpu")
    return refill(net)


def in_a_parent(net: Net, _kind: Kind) -> nn.Module:
    with flag("overwrite"):
        nn.ModuleDict({"inner": net}).double()
    return net


def beside_another(net: Net, kind: Kind) -> nn.Module:
    """Two tied children of one parent, converted by it."""
    parent = nn.ModuleDict({"first": make(kind), "second": net})
    parent.to("meta").to_empty(device="cpu")
    return refill(net)


def part_alone(net: Net, _kind: Kind) -> None:
    with flag("overwrite"):
        net.two.double()


def part_to_meta(net: Net, _kind: Kind) -> None:
    net.two.to("meta")


def requires_grad(net: Net, _kind: Kind) -> None:
    net.requires_grad_(False).requires_grad_(True)


_TITLES = {
    torch.float64: ("double", 1e-6),
    torch.bfloat16: ("bfloat16", 5e-2),
    torch.float16: ("half", 1e-2),
}
_CALLS = {
    "": "",
    "overwrite": " under `set_overwrite_module_params_on_conversion(True)`",
    "swap": " under `set_swap_module_params_on_conversion(True)`",
}
_DTYPES = tuple(
    Operation(
        f"`.{word}()`{_CALLS[name]}",
        converted(dtype, name),
        every(RESTORED if name == "overwrite" else HOLDS),
        tolerance=tolerance,
    )
    for name in FLAGS
    for dtype, (word, tolerance) in _TITLES.items()
)
OPERATIONS = (
    *_DTYPES,
    Operation("`.half().double().bfloat16().float()`", back_and_forth, every(HOLDS), tolerance=5e-2),
    Operation("`.requires_grad_(False)` and back", requires_grad, every(HOLDS)),
    Operation("`.to_empty()` on the same device", emptied, every(HOLDS), note="Values are gone, as torch says."),
    Operation('`.to("meta")` and `.to_empty(device="cpu")`', to_meta_and_back, every(RESTORED)),
    Operation(
        "built and tied on meta, then `.to_empty()`",
        made_real,
        every(HOLDS),
        control=False,
        note="Shared parameters have their declared initial values at once.",
    ),
    Operation("`.double()` of an untied parent, parameters overwritten", in_a_parent, every(RESTORED)),
    Operation('`.to("meta").to_empty(…)` of a parent of two tied modules', beside_another, every(RESTORED)),
    Operation(
        "`.double()` of one member's module alone, parameters overwritten",
        part_alone,
        every(detected("converted by itself")),
    ),
    Operation('`.to("meta")` of one member\'s module alone', part_to_meta, every(detected("moved by itself"))),
)
