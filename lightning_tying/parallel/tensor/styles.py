"""A network and patterns of module paths with styles in; the style of every module that has parameters out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast, get_args

from torch import nn

from lightning_tying.errors import ApplyError, ConfigError
from lightning_tying.lowering.resolve import own_modules, own_parameters, without_wrappers
from lightning_tying.lowering.runtime.readers import own_sites
from lightning_tying.parallel.tensor.values import Cut
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.patterns import read_pattern

Style: TypeAlias = Literal["colwise", "rowwise", "colwise_gather", "replicate", "plain"]
STYLES: tuple[str, ...] = tuple(word for word in get_args(Style) if word != "plain")
ATTRIBUTE = "tensor_parallel_styles"

_HOW = (
    "Give one, module pattern to style, as `tensor_parallel` of the run config or as the attribute "
    f"`{ATTRIBUTE}` of the network: {{'layers.{{l}}.attn.q': colwise, 'layers.{{l}}.attn.o': rowwise}}. "
    f"Styles: {', '.join(STYLES)}."
)
_KNOWN = (nn.Linear, nn.Embedding, nn.LayerNorm, nn.RMSNorm)  # others may mix their parameters with plain tensors


@dataclass(frozen=True)
class StyledModule:
    """A module that has parameters, or computed tensors, of its own.

    Args:
        path: its first FQN.
        module: itself.
        style: how it is computed; `plain` leaves it as it is on every process.
    """

    path: str
    module: nn.Module
    style: Style

    @property
    def tensors(self) -> tuple[str, ...]:
        """The names of its own parameters and computed tensors."""
        held = (name for name, parameter in own_parameters(self.module).items() if parameter is not None)
        return (*held, *(site.tensor_name for site in own_sites(self.module)))

    def cut(self, tensor: str) -> Cut:
        """The dimension along which a tensor of it is divided."""
        if self.style in ("replicate", "plain"):
            return None
        if isinstance(self.module, nn.Embedding):
            return 0 if self.style == "rowwise" else 1
        if self.style == "rowwise":
            return 1 if tensor == "weight" else None
        return 0


def find_styles(root: nn.Module, written: Mapping[str, str] | None, size: int) -> tuple[StyledModule, ...]:
    """The style of every module with parameters of its own.

    A layer that no pattern names is computed by all processes alike: `replicate` where torch's own layer is known to
    take distributed parameters, else `plain`.

    Args:
        root: the network.
        written: what the user gave; None for what the network's class says of itself.
        size: of the tensor-parallel group.

    Raises:
        ConfigError: there is no plan for this network, a word is no style, or a pattern matches no module.
        ApplyError: a style does not fit its module.
    """
    styles = _require(root, written)
    modules = dict(_walk(root))
    chosen = _match(styles, root)
    found: list[StyledModule] = []
    within: set[str] = set()  # modules below one that reads parameters itself and also has children with some
    for path, module in modules.items():
        inside = any(not parent or path.startswith(f"{parent}.") for parent in within)
        style = chosen.get(id(module)) or ("plain" if inside or not isinstance(module, _KNOWN) else "replicate")
        styled = StyledModule(path, module, style)
        if not styled.tensors:
            continue
        if style == "plain" and own_modules(module):
            within.add(path)
        _check_fit(styled, root, size)
        found.append(styled)
    return tuple(found)


def _require(root: nn.Module, written: Mapping[str, str] | None) -> Mapping[str, Style]:
    found: object = getattr(root, ATTRIBUTE, None) if written is None else written
    if found is None:
        raise ConfigError(f"{type(root).__name__} has no plan for tensor parallel. {_HOW}")
    if not isinstance(found, Mapping) or not found:
        raise ConfigError(f"tensor_parallel is a mapping of module patterns to styles, not {found!r}. {_HOW}")
    content = cast("Mapping[object, object]", found)
    for pattern, style in content.items():
        if style not in STYLES:
            raise ConfigError(f"tensor_parallel: {pattern}: the style {style!r} is not known. {_HOW}")
    return cast("Mapping[str, Style]", found)


def _match(styles: Mapping[str, Style], root: nn.Module) -> dict[int, Style]:
    """By module's identity; a module at two paths is matched by either."""
    chosen: dict[int, tuple[str, Style]] = {}
    paths = list(_walk(root, twice=True))
    for text, style in styles.items():
        try:
            pattern = read_pattern(str(text))
        except Mistake as error:
            raise ConfigError(f"tensor_parallel: {text}: {error}") from error
        matched = [(path, module) for path, module in paths if path and pattern.match(path)]
        if not matched:
            near = ", ".join(path for path, module in paths if path and own_parameters(module))[:200]
            raise ConfigError(f"tensor_parallel: {text} matches no module of {type(root).__name__}. It has: {near} …")
        for path, module in matched:
            other, before = chosen.setdefault(id(module), (text, style))
            if before != style:
                raise ConfigError(f"tensor_parallel: {path} is {before} by {other} and {style} by {text}. Keep one.")
    return {key: style for key, (_, style) in chosen.items()}


def _walk(root: nn.Module, *, twice: bool = False) -> Iterator[tuple[str, nn.Module]]:
    """The modules without those of parametrizations; with `twice`, one at two paths twice."""
    named = cast("Iterable[tuple[str, nn.Module]]", root.named_modules(remove_duplicate=not twice))
    for path, module in named:
        if "parametrizations" not in path.split("."):
            yield without_wrappers(path), module


def _check_fit(styled: StyledModule, root: nn.Module, size: int) -> None:
    module, path, style = styled.module, styled.path, styled.style
    if style in ("replicate", "plain"):
        return
    kind = type(module).__name__
    if not isinstance(module, (nn.Linear, nn.Embedding)):
        raise ApplyError(
            f"tensor_parallel: {path} is a {kind}, and {style} is for nn.Linear and nn.Embedding. Write replicate."
        )
    if isinstance(module, nn.Embedding) or style == "colwise_gather":
        return  # parts of unequal size are gathered right
    side, name = (module.in_features, "in_features") if style == "rowwise" else (module.out_features, "out_features")
    if side % size:
        raise ApplyError(f"tensor_parallel: {path} has {name} {side}, which {size} processes cannot divide evenly.")
    channels = _find_channels(path, root)
    if channels and side % (channels * size):
        raise ApplyError(
            f"tensor_parallel: {path} has {side // channels} heads of {channels} channels, and {size} processes "
            "cannot each have as many whole heads. Choose a size that divides heads and kv_heads."
        )


def _find_channels(path: str, root: nn.Module) -> int:
    """The channels of a head, as attention modules of this package (`channels`) and transformers (`head_dim`) say."""
    parent: Any = root.get_submodule(path.rpartition(".")[0])
    for name in ("channels", "head_dim"):
        found = getattr(parent, name, None)
        if isinstance(found, int) and parent is not root:
            return found
    return 0
