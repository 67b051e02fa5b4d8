"""A plan and the parameters that a module's sites have in; nothing out, or one error that names all that do not fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from torch import nn

from lightning_tying.errors import ApplyError
from lightning_tying.graph.ir import SharingGraph, SharingGroup, TensorMeta
from lightning_tying.lowering.draw_into import is_sharded
from lightning_tying.lowering.plan import Plan
from lightning_tying.lowering.resolve import Slot


def check_fit(plan: Plan, slots: Mapping[str, Slot], parameters: Mapping[str, nn.Parameter]) -> None:
    """Compare what a plan expects with what the module has; nothing is changed.

    Args:
        plan: to be applied.
        slots: of all sites that it reads or solves from.
        parameters: what they hold.

    Raises:
        ApplyError: shapes, dtypes or kinds of parameters with which the plan cannot be carried out.
    """
    problems = list(dict.fromkeys(_find_problems(plan.graph, slots, parameters)))
    if problems:
        raise ApplyError("\n".join(["The plan does not fit this module:", *problems]))


def _find_problems(
    graph: SharingGraph, slots: Mapping[str, Slot], parameters: Mapping[str, nn.Parameter]
) -> Iterator[str]:
    metas = {derived.site: derived.meta for derived in graph.derived}
    for site, meta in metas.items():
        yield from _compare(site, parameters[site], meta, None)
    for group in graph.groups:
        sites = dict.fromkeys([*[use.site for use in group.uses], *group.policy.init_sites])
        mixed = group if group.policy.dtype is None and _is_mixed(group, parameters) else None
        for site in sites:
            if mixed is not None or site not in metas:
                yield from _compare(site, parameters[site], metas.get(site, group.meta), mixed)
    for penalty in graph.penalties:
        if tuple(parameters[penalty.site].shape) != penalty.expression.shape:
            yield _tell_shapes(penalty.site, parameters[penalty.site], penalty.expression.shape)
    for derived in graph.derived:
        yield from _check_module(slots[derived.site])


def _is_mixed(group: SharingGroup, parameters: Mapping[str, nn.Parameter]) -> bool:
    return len({parameters[use.site].dtype for use in group.uses}) > 1


def _compare(site: str, parameter: nn.Parameter, meta: TensorMeta, mixed: SharingGroup | None) -> tuple[str, ...]:
    if parameter.shape != meta.shape:
        return (_tell_shapes(site, parameter, meta.shape),)
    if mixed is not None and str(parameter.dtype) != f"torch.{mixed.meta.dtype}":
        return (f"{site} is {parameter.dtype}, and other sites of `{mixed.name}` are not.",)
    if parameter.is_inference():
        return (f"{site} was made in inference_mode and cannot be shared. Build the module outside it.",)
    if is_sharded(parameter):
        return (f"{site} is a DTensor. Tie before fully_shard or parallelize_module.",)
    return ()


def _check_module(slot: Slot) -> Iterable[str]:
    """What a module does with its tensor that a computed value cannot bear."""
    if isinstance(slot.module, nn.Embedding | nn.EmbeddingBag) and slot.module.max_norm is not None:
        yield (
            f"{slot.site} has max_norm, which writes into the tensor in each forward, and a computed value would lose "
            "that. Set max_norm=None, or let it read a shared parameter as it is."
        )


def _tell_shapes(site: str, parameter: nn.Parameter, shape: tuple[int, ...]) -> str:
    return f"{site} is {list(parameter.shape)}, and the plan has {list(shape)}."
