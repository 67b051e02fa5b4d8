"""A tied module, the name of a sharing group and a number of rows in; all that knows the vocabulary resized out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, product

from torch import nn

from lightning_tying.algebra.expression import Call, FileMap, ParameterName, Read
from lightning_tying.algebra.maps.map_files import read_map
from lightning_tying.errors import ApplyError, SpecError
from lightning_tying.graph.collector import pause_gc
from lightning_tying.graph.inventory import take_inventory
from lightning_tying.graph.ir import SharingGraph, SharingGroup, Site, TensorMeta
from lightning_tying.lowering.edits.resized_values import NewRows, carry_out
from lightning_tying.lowering.holders import refuse_held
from lightning_tying.lowering.plan import Plan, make_steps
from lightning_tying.lowering.preconditions import check_can_change
from lightning_tying.lowering.state import TiedState, find_tied
from lightning_tying.passes.pipeline import plan_graph
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.nearest import nearest_name

_EMBEDDINGS = ("Embedding", "EmbeddingBag")
_MOST_TRIALS = 256

Sizes = Mapping[str, tuple[int, int]]  # by site: the dimension that grows, and its new size


def resize_vocabulary(
    module: nn.Module, group: str, n: int, *, pad_to_multiple_of: int | None = None, new_rows: NewRows = "init"
) -> Plan:
    """Give a vocabulary another number of rows: every site of the group, their biases, maps and tables together.

    Sizes that layers and configs tell (`num_embeddings`, `out_features`, `vocab_size`) follow. For sites that read
    `rows(…, map=file)` the files are read again: write the new maps first.

    Args:
        module: a tied module, or one with tied modules inside, before an optimizer or a strategy holds its parameters.
        group: the shared parameter's name as plans print it: `E`, `vocab`.
        n: how many rows there are then; fewer than now cuts the last ones off.
        pad_to_multiple_of: rounds `n` up to a multiple of this.
        new_rows: `init` draws them by the group's rule (normal with the old rows' deviation where it is solved from
            the sites), `mean` makes them the mean of the old ones. New cells of biases are zero.

    Returns:
        The module's new plan.

    Raises:
        ApplyError: nothing is called so, the sizes do not fit the spec, or an optimizer or a strategy holds the
            parameters. Nothing has changed.
    """
    inner = check_can_change(module, "resize_vocabulary")
    if n < 1:
        raise ApplyError(f"A vocabulary has 1 row or more, not {n}.")
    step = 1 if pad_to_multiple_of is None else pad_to_multiple_of
    if step < 1:
        raise ApplyError(f"pad_to_multiple_of is 1 or more, not {step}.")
    if new_rows not in ("init", "mean"):
        raise ApplyError(f"new_rows is init or mean, not {new_rows!r}.")
    with pause_gc():
        root, state, found = _find_group(inner, group)
        refuse_held(root, "resize_vocabulary")
        graph, sizes = _plan_resized(root, state, found, -(-n // step) * step)
        plan = Plan(state.plan.spec, graph, make_steps(graph))
        carry_out(root, state, plan, sizes, new_rows)
    return plan


def _find_group(module: nn.Module, name: str) -> tuple[nn.Module, TiedState, SharingGroup]:
    names: list[str] = []
    for _, root, state in find_tied(module):
        for group in state.plan.graph.groups:
            if str(group.name) == name:
                _check_whole(state)
                return root, state, group
            names.append(str(group.name))
    near = nearest_name(name, names)
    hint = f" Nearest: {near}." if near else f" There are: {', '.join(names[:8])}." if names else " Nothing is tied."
    raise ApplyError(f"`{name}` is not a shared parameter of this module.{hint}")


def _check_whole(state: TiedState) -> None:
    if state.whole is not None:
        raise ApplyError("Some sites of this module have been untied or changed since. Resize before that.")
    if not state.plan.graph.sites:
        raise ApplyError(
            "This module was tied by a plan from a file. Tie it by its spec, tie(module, spec), to resize."
        )


def _plan_resized(root: nn.Module, state: TiedState, group: SharingGroup, rows: int) -> tuple[SharingGraph, Sizes]:
    """The graph for the new sizes: the first choice of dimensions that the whole spec agrees with."""
    old = state.plan.graph
    mapped = _find_mapped(old, group.name)
    errors: list[str] = []
    choices = _choose_by_maps(old, mapped, state) if mapped else _choose_by_size(old, group, rows)
    inventory = take_inventory(root)
    for sizes in islice(choices, _MOST_TRIALS):
        sites = tuple(_resize_site(site, sizes) for site in old.sites)
        left = _find_left(sites, sizes)
        if left:
            errors.append(f"a bias beside {left} is tied to one that is resized, and {left} is not. Tie or untie both.")
            continue
        try:
            graph = plan_graph(state.plan.spec, replace(inventory, sites=sites, values=()), strict=False)
        except SpecError as error:
            errors.append(str(error))
            continue
        found = next(each for each in graph.groups if each.name == group.name)
        if rows in found.meta.shape:
            return replace(graph, private=_resize_private(old, sizes)), sizes
        errors.append(
            f"by the spec and its maps it is {list(found.meta.shape)}. Write {rows} rows into the files of its maps "
            f'("rows": {rows}), or the size that `parameters` gives it, first.'
        )
    reason = errors[0] if errors else "no dimension of its sites is the vocabulary's"
    raise ApplyError(f"`{group.name}` cannot get {rows} rows: {reason}")


def _choose_by_size(graph: SharingGraph, group: SharingGroup, rows: int) -> Iterator[Sizes]:
    """Which dimension of each site that has to do with the group is the vocabulary's; first dimensions first."""
    by_fqn = {site.fqn: site for site in graph.sites}
    first = next((fqn for fqn in group.sites if by_fqn[fqn].module in _EMBEDDINGS), group.owner)
    old = by_fqn[first].meta.shape[0]
    sites = _find_connected(graph, group, old)
    ways = [_list_ways(by_fqn[fqn], old, fqn in group.sites) for fqn in sites]
    for chosen in product(*ways):
        sizes = {fqn: (way, rows) for fqn, way in zip(sites, chosen, strict=True) if way is not None}
        yield _with_biases(graph, by_fqn, sizes)


def _list_ways(site: Site, old: int, needed: bool) -> list[int | None]:
    ways: list[int | None] = [place for place, size in enumerate(site.meta.shape) if size == old]
    if site.module in _EMBEDDINGS and 0 in ways:
        return [0]
    return ways if needed and ways else [*ways, None]


def _find_connected(graph: SharingGraph, group: SharingGroup, old: int) -> list[str]:
    """The group's sites, and those that other groups of that size tie to them."""
    found = dict.fromkeys(group.sites)
    waiting = [group]
    seen = {group.name}
    while waiting:
        sites = waiting.pop().sites
        found.update(dict.fromkeys(sites))
        for other in graph.groups:
            if other.name not in seen and old in other.meta.shape and found.keys() & set(other.sites):
                seen.add(other.name)
                waiting.append(other)
    return list(found)


def _find_mapped(graph: SharingGraph, name: ParameterName) -> dict[str, Call]:
    """The sites that read rows of the parameter by a map, with that call."""
    return {
        derived.site: call
        for derived in graph.derived
        for call in derived.expression.walk()
        if isinstance(call, Call) and call.function == "rows" and _reads(call, name)
    }


def _reads(call: Call, name: ParameterName) -> bool:
    return any(isinstance(operand, Read) and operand.parameter == name for operand in call.operands)


def _choose_by_maps(graph: SharingGraph, mapped: Mapping[str, Call], state: TiedState) -> Iterator[Sizes]:
    """One choice: each site has as many rows as its map has entries, read from its file again."""
    by_fqn = {site.fqn: site for site in graph.sites}
    sizes: dict[str, tuple[int, int]] = {}
    for site, call in mapped.items():
        arguments = dict(call.arguments)
        index_map, block = arguments.get("map"), arguments.get("block", 1)
        if isinstance(index_map, FileMap) and isinstance(block, int):
            try:
                entries = read_map(index_map.path, state.plan.spec.folder).shape[0]
            except Mistake as error:
                raise ApplyError(f"The map of {site} cannot be read again: {error}") from error
            sizes[site] = (0, entries * block)
    yield _with_biases(graph, by_fqn, sizes)


def _with_biases(graph: SharingGraph, by_fqn: Mapping[str, Site], sizes: Sizes) -> Sizes:
    """The biases beside the sites, and whatever is tied to them."""
    found = dict(sizes)
    for fqn, (place, rows) in sizes.items():
        bias = by_fqn.get(f"{fqn.rpartition('.')[0]}.bias".lstrip("."))
        shape = by_fqn[fqn].meta.shape
        if (
            bias is None
            or bias.meta.shape != (shape[place],)
            or bias.fqn in found
            or not _is_output(shape, place, bias)
        ):
            continue
        tied = next((group.sites for group in graph.groups if bias.fqn in group.sites), (bias.fqn,))
        found.update(dict.fromkeys(tied, (0, rows)))
    return found


def _find_left(sites: Sequence[Site], sizes: Sizes) -> str:
    """A weight that would not fit the bias beside it any more; empty where there is none."""
    by_fqn = {site.fqn: site for site in sites}
    for fqn in sizes:
        path, _, name = fqn.rpartition(".")
        weight = by_fqn.get(f"{path}.weight") if name == "bias" else None
        if weight is not None and weight.fqn not in sizes:
            return weight.fqn
    return ""


def _is_output(shape: Sequence[int], place: int, bias: Site) -> bool:
    """Whether the dimension is the one that a bias has: the first, or the last of transformers' Conv1D."""
    return place == (len(shape) - 1 if bias.module == "Conv1D" else 0)


def _resize_site(site: Site, sizes: Sizes) -> Site:
    return site._replace(meta=_resize_meta(site.meta, *sizes[site.fqn])) if site.fqn in sizes else site


def _resize_private(graph: SharingGraph, sizes: Sizes) -> tuple[tuple[str, TensorMeta], ...]:
    return tuple((fqn, _resize_meta(meta, *sizes[fqn]) if fqn in sizes else meta) for fqn, meta in graph.private)


def _resize_meta(meta: TensorMeta, place: int, size: int) -> TensorMeta:
    return replace(meta, shape=(*meta.shape[:place], size, *meta.shape[place + 1 :]))
