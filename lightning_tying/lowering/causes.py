"""A module, or two places of one group, in; the likely cause of a tie that does not hold, as words, out."""

from __future__ import annotations

from torch import nn
from torch.nn.utils import parametrize

from lightning_tying.lowering.draw_into import is_sharded

EXPLAIN_SHARDED = (
    "fully_shard took one of {} and {} and not the other. Give their modules to one call, fully_shard([one, other]), "
    "before the modules above them"
)
_EXPLAIN_PARALLEL = (
    "parallelize_module distributed one of {} and {} and not the other. Give both a style that places the weight alike"
)
_TORCH_STYLES = {"_WeightNorm": "weight_norm", "_SpectralNorm": "spectral_norm", "_Orthogonal": "orthogonal"}


def explain_missing(module: nn.Module, name: str) -> str:
    """Why `module` probably has no parameter `name`, and what to do about it."""
    parameters, kind = _registered(module), type(module).__name__
    if parametrize.is_parametrized(module, name):
        return f"a parametrization was registered on it in {kind} ({_name_styles(module, name)}). {_REMOVE}"
    if f"{name}_g" in parameters or f"{name}_v" in parameters:
        return f"weight_norm replaced it in {kind}. Remove weight_norm, or untie before applying it."
    if f"{name}_orig" in parameters:
        return f"{_name_hook(module, name)} replaced it in {kind}. Make it permanent or remove it, then tie again."
    return _explain_gone(module, name)


def _explain_gone(module: nn.Module, name: str) -> str:
    kind = type(module).__name__
    if is_quantized(module):
        return f"{kind} is quantized (quantize_dynamic, convert). {_CHANGE_FIRST}"
    if name in _registered(module):
        return f"it was set to None in {kind}. Put the parameter back, or untie it first."
    if hasattr(module, name):
        return f"{kind}.{name} is a {type(getattr(module, name)).__name__} now. Untie before replacing it."
    return f"{kind} has no attribute `{name}`: it was deleted, or its module was exchanged. Untie before removing it."


def explain_undone(site: str, module: nn.Module) -> str:
    """Why a derived site has probably lost its parametrization, and what to do about it.

    Args:
        site: its FQN.
        module: the module that had it.
    """
    name = site.rpartition(".")[2]
    parameters, kind = _registered(module), type(module).__name__
    if f"{name}_g" in parameters or f"{name}_v" in parameters:
        cause = f"weight_norm replaced it in {kind}"
    elif f"{name}_orig" in parameters:
        cause = f"{_name_hook(module, name)} replaced it in {kind}"
    elif is_quantized(module):
        cause = f"{kind} is quantized (quantize_dynamic, convert)"
    elif parametrize.is_parametrized(module, name):
        cause = f"another parametrization took its place in {kind} ({_name_styles(module, name)})"
    elif parameters.get(name) is not None:
        cause = (
            f"{kind} holds a parameter of its own there (remove_parametrizations, merge_and_unload, or it was "
            "put there by hand)"
        )
    else:
        cause = f"{kind} has lost its parametrization (the module was exchanged or quantized, or its class changed)"
    return (
        f"{site} is not computed from shared parameters any more: {cause}. Untie or materialize a module before "
        "such a change; to go on, tie a model that is built anew."
    )


def explain_parted(owner: str, one: nn.Parameter, site: str, other: nn.Parameter, strategy: str = "") -> str:
    """Why two places of one group probably hold two parameters.

    Args:
        owner: the place that holds `one`.
        one: the parameter of the group's keeper.
        site: the place that holds `other`.
        other: what is there instead.
        strategy: what has distributed the module, as `name_strategy` says.
    """
    if is_sharded(one) or is_sharded(other):
        return _explain_distributed(owner, one, site, other, strategy)
    if one.device != other.device:
        return f"they are on {one.device} and {other.device}: a part was moved by itself. Move the tied module"
    return _explain_difference(one, other) or (
        "the parameter of one of them was replaced: assigned, untied or tied in a part of the model, or loaded "
        "with assign=True or made real (to_empty) in a part by itself, or quantized, or a weight_norm was removed "
        "again. Do that with the whole tied module"
    )


def _explain_difference(one: nn.Parameter, other: nn.Parameter) -> str:
    if one.shape != other.shape:
        shapes = f"{list(one.shape)} and {list(other.shape)}"
        return f"they are {shapes}: one was resized. Untie before resizing, or call resize_vocabulary"
    if type(one) is not type(other) or type(one.data) is not type(other.data):
        kinds = f"{type(one.data).__name__} and {type(other.data).__name__}"
        return f"they are tensors of two classes, {kinds}: a part was quantized by itself. {_CHANGE_FIRST[:-1]}"
    if one.dtype != other.dtype:
        return f"they are {one.dtype} and {other.dtype}: a part was converted by itself. Convert the tied module"
    if not one.is_meta and one.data_ptr() == other.data_ptr() and one.data_ptr() != 0:
        return (
            "they share memory but are two parameters, as after torch.export, or load_state_dict(assign=True) of a part"
        )
    return ""


def is_quantized(module: nn.Module) -> bool:
    """Whether torch's quantization put this module in the place of another; by name, since importing it takes long."""
    return ".quantized" in type(module).__module__


def _explain_distributed(owner: str, one: nn.Parameter, site: str, other: nn.Parameter, strategy: str) -> str:
    if is_sharded(one) != is_sharded(other):
        text = _EXPLAIN_PARALLEL if strategy == "tensor parallel" else EXPLAIN_SHARDED
        return text.format(owner, site)
    placed = [getattr(each, "placements", ()) for each in (one, other)]
    if placed[0] != placed[1]:
        places = " and ".join(str(tuple(each)) for each in placed)
        return f"they are placed {places} on the mesh. Give both a style that places the weight alike"
    return (
        "parallelize_module, or a load with assign=True, gave each of them a DTensor of its own. Tie again after it, "
        "before fully_shard and before the optimizer is made"
    )


def _registered(module: nn.Module) -> dict[str, nn.Parameter | None]:
    return module._parameters  # pyright: ignore[reportPrivateUsage]  # reading by attribute would run parametrizations


def _name_styles(module: nn.Module, name: str) -> str:
    """What is registered on a tensor: torch's own by the function that makes it, others by their class."""
    kinds = [type(each).__name__ for each in module.get_submodule(f"parametrizations.{name}").children()]
    return ", ".join(_TORCH_STYLES.get(kind, kind) for kind in kinds)


def _name_hook(module: nn.Module, name: str) -> str:
    buffers = {each for each, _ in module.named_buffers(recurse=False)}
    if f"{name}_mask" in buffers:
        return "pruning (torch.nn.utils.prune)"
    return "spectral_norm" if f"{name}_u" in buffers else "pruning or spectral_norm"


_REMOVE = "Remove it, or untie before registering it; change_members(module, change) does either."
_CHANGE_FIRST = "Quantize by change_members(module, change, on_tied=…), or untie first."
