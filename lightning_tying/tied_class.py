"""A class of modules and a spec in, a class whose modules are tied as they are made out."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from torch import nn

from lightning_tying.api import tie
from lightning_tying.lowering.pretrained import SAVES_ONCE
from lightning_tying.spec.loader import load_spec
from lightning_tying.spec.sources import Source

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def tie_class(kind: type[ModuleT], spec: Source, *, strict: bool = True) -> type[ModuleT]:
    """A class whose modules are tied as they are made; those of transformers also by `from_pretrained`.

    `save_pretrained` of its networks writes each tensor once, and its `from_pretrained` ties them again. Everything
    else about the class, its name included, stays.

    Args:
        kind: any subclass of `nn.Module`: `LlamaForCausalLM`, or a class of your own.
        spec: as for `tie`; a mistake of its text is told now, one that only the model shows when a module is made.
        strict: as for `tie`.

    Raises:
        SpecError: with all mistakes of the spec's text.
    """
    written = load_spec(spec)

    def make(self: nn.Module, *arguments: Any, **options: Any) -> None:
        kind.__init__(cast("ModuleT", self), *arguments, **options)
        tie(self, written, strict=strict)

    def reduce(self: nn.Module, _protocol: int) -> tuple[Any, ...]:
        return _remake, (kind, written.dump(), strict), vars(self)

    body: dict[str, Any] = {
        "__init__": make,
        "__reduce_ex__": reduce,  # pickle looks a class up by its name, and would find the one below
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__doc__": kind.__doc__,
        SAVES_ONCE: True,
    }
    return cast("type[ModuleT]", type(kind.__name__, (kind,), body))


def _remake(kind: type[nn.Module], spec: str, strict: bool) -> nn.Module:
    made = tie_class(kind, spec, strict=strict)
    return made.__new__(made)
