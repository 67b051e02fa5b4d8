"""A module with tied ones inside and a state dict in; it is loaded, and what it lacked is told as torch tells it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from torch import nn

from lightning_tying.lowering.draw_into import is_sharded
from lightning_tying.lowering.resolve import find_slots
from lightning_tying.lowering.state import find_tied
from lightning_tying.lowering.state_dicts.checkpoint import index_keys


def load_and_report(module: nn.Module, state_dict: Mapping[str, Any], *arguments: Any, **options: Any) -> Any:
    """`load_state_dict` of a tied root: torch's, which with `strict=False` counts filled names as missing.

    That is what torch says of an aliased module, and what `safetensors.torch.load_model` reckons with. A strict load
    has nothing missing, since the names are filled.
    """
    kind: Any = type(module)
    result = kind.load_state_dict(module, state_dict, *arguments, **options)
    return report_filled(module, state_dict, result, *arguments, **options)


def report_filled(
    module: nn.Module, state_dict: Mapping[str, Any], result: Any, strict: bool = True, *_more: Any, **_options: Any
) -> Any:
    """Add the names that were filled to what `load_state_dict` found missing; a strict load has nothing missing."""
    missing: object = getattr(result, "missing_keys", None)
    if not strict and isinstance(missing, list):
        told = cast("list[str]", missing)
        told.extend(key for key in find_filled(module, state_dict) if key not in told)
    return result


def find_filled(module: nn.Module, state_dict: Mapping[str, Any]) -> Iterator[str]:
    """The keys that a state dict lacks and that the tied modules inside fill from another member of their group.

    A sharded module names each shared tensor once in its state dict, so nothing is missing there.
    """
    given = index_keys(state_dict, "")
    for path, _, state in find_tied(module):
        prefix = f"{path}." if path else ""
        slots = find_slots(module, [prefix + place for place in state.plan.places])
        for group in state.plan.graph.groups:
            places = [prefix + place for place in group.places]
            if any(place in given for place in places):
                for slot in (slots[place] for place in places if place not in given):
                    if not is_sharded(slot.peek()):
                        yield slot.key
