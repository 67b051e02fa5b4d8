"""A module and the FQN of a site or of a slot in, the place in that module out, whatever wrappers lie between."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass

from torch import nn

from lightning_tying.errors import TieBroken
from lightning_tying.lowering.causes import explain_missing

# Segments that torch's wrappers insert; only the first shows in the keys of a state dict.
_COMPILED = "_orig_mod"
_PARAMETRIZATIONS = "parametrizations"
_ADAPTED = "base_layer"  # what peft calls the layer that it puts an adapter around
WRAPPERS = (_COMPILED, "_fsdp_wrapped_module", "_checkpoint_wrapped_module")


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """Where a module holds a parameter: a site, or a slot of the parametrization that a derived site has.

    Args:
        site: the FQN, without the segments of wrappers.
        module: the module that has the parameter.
        name: the parameter's name in it.
        key: the key in the state dict of the module given to `find_slots`.
    """

    site: str
    module: nn.Module
    name: str
    key: str

    @property
    def place(self) -> tuple[int, str]:
        """Equal for two FQNs of one module at two paths, which hold one parameter by nature."""
        return id(self.module), self.name

    def peek(self) -> nn.Parameter | None:
        """The parameter, or None where there is none (any more)."""
        return own_parameters(self.module).get(self.name)

    def read(self) -> nn.Parameter:
        """The parameter.

        Raises:
            TieBroken: there is none; the text says what probably took it away.
        """
        parameter = self.peek()
        if parameter is None:
            raise TieBroken(f"{self.site} is not a parameter any more: {explain_missing(self.module, self.name)}")
        return parameter

    def write(self, parameter: nn.Parameter) -> None:
        """Put a parameter here; by attribute, since RNNs keep a list of their weights that must follow."""
        setattr(self.module, self.name, parameter)


def find_slots(root: nn.Module, sites: Iterable[str]) -> dict[str, Slot]:
    """Where each FQN leads: sites, and slots of derived sites (`fc.parametrizations.weight.0.T`).

    Raises:
        TieBroken: the path of a site leads to no module.
    """
    found: dict[str, tuple[nn.Module, str]] = {"": (root, "")}
    slots: dict[str, Slot] = {}
    for site in sites:
        path, _, name = site.rpartition(".")
        module, prefix = _walk(path, found)
        while name not in own_parameters(module) and (inner := _step_inside(module, prefix)) is not None:
            module, prefix = inner
        slots[site] = Slot(site, module, name, prefix + name)
    return slots


def own_parameters(module: nn.Module) -> dict[str, nn.Parameter | None]:
    """The parameters that this module itself registers, None entries included."""
    return module._parameters  # pyright: ignore[reportPrivateUsage]  # reading by attribute would run parametrizations


def own_modules(module: nn.Module) -> dict[str, nn.Module | None]:
    """The modules that this module itself registers, under all their names."""
    return module._modules  # pyright: ignore[reportPrivateUsage]  # named_children() leaves out the second name


def walk_modules(
    root: nn.Module, within: Container[str] | None = None, computed: bool = True
) -> Iterator[tuple[str, nn.Module]]:
    """Every module once, the root included, with its first FQN; wrappers have the FQN of what they wrap.

    Args:
        root: where to begin.
        within: FQNs of modules; no other is entered. None for all.
        computed: whether to enter the parametrizations of modules.
    """
    seen: set[int] = set()
    stack = [("", root)]
    while stack:
        path, module = stack.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        yield path, module
        children = own_modules(module)
        if children:  # most modules have none
            found = [(_join(path, name), child) for name, child in reversed(children.items()) if child is not None]
            if within is not None or not computed:
                found = [(at, child) for at, child in found if _is_entered(at, child, within, computed)]
            stack += found


def _is_entered(path: str, module: nn.Module, within: Container[str] | None, computed: bool) -> bool:
    if not computed and isinstance(module, nn.ModuleDict) and path.endswith(_PARAMETRIZATIONS):
        return False
    return within is None or path in within


def adapted_layer(module: nn.Module) -> nn.Module | None:
    """The layer inside one of peft's, which has its own name for it in the state dict; None for any other module."""
    base = own_modules(module).get(_ADAPTED)
    return base if base is not None and callable(getattr(module, "merge", None)) else None


def without_wrappers(key: str) -> str:
    """`layers.0._orig_mod.weight` is the site `layers.0.weight`."""
    if not any(wrapper in key for wrapper in WRAPPERS):
        return key
    return ".".join(segment for segment in key.split(".") if segment not in WRAPPERS)


def _walk(path: str, found: dict[str, tuple[nn.Module, str]]) -> tuple[nn.Module, str]:
    if path in found:
        return found[path]
    parent, _, segment = path.rpartition(".")
    module, prefix = _walk(parent, found)
    while segment not in own_modules(module):
        inner = _step_inside(module, prefix)
        if inner is None:
            raise TieBroken(_explain_path(path, module))
        module, prefix = inner
    child = own_modules(module)[segment]
    if child is None:
        raise TieBroken(f"{path} is None now. Untie before removing a module whose parameters are tied.")
    found[path] = child, f"{prefix}{segment}."
    return found[path]


def _step_inside(module: nn.Module, prefix: str) -> tuple[nn.Module, str] | None:
    for wrapper in WRAPPERS:
        inner = own_modules(module).get(wrapper)
        if inner is not None:
            return inner, f"{prefix}{wrapper}." if wrapper == _COMPILED else prefix
    base = adapted_layer(module)
    return (base, f"{prefix}{_ADAPTED}.") if base is not None else None


def _join(path: str, name: str) -> str:
    if name in WRAPPERS:
        return path
    return f"{path}.{name}" if path else name


def _explain_path(path: str, module: nn.Module) -> str:
    parent, _, segment = path.rpartition(".")
    if segment == _PARAMETRIZATIONS:
        return f"{parent or type(module).__name__} has no parametrization any more."
    where = f"`{parent}` ({type(module).__name__})" if parent else f"the root ({type(module).__name__})"
    return (
        f"{path} is not a module any more: {where} has no `{segment}`. "
        "Its layers were probably replaced after the tie. Untie first, then change the module and tie again."
    )
