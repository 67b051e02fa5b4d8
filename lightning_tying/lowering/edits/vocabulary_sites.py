"""The sharing graph of a module and a number of rows in; which dimension of which site is the vocabulary's out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, product

from torch import nn

from lightning_tying.algebra.expression import Call, FileMap, ParameterName, Read
from lightning_tying.algebra.maps.map_files import read_map
from lightning_tying.errors import ApplyError, SpecError
from lightning_tying.graph.inventory import take_inventory
from lightning_tying.graph.ir import SharingGraph, SharingGroup, Site, TensorMeta
from lightning_tying.lowering.state import TiedState
from lightning_tying.passes.pipeline import plan_graph
from lightning_tying.spec.mistakes import Mistake

EMBEDDINGS = ("Embedding", "EmbeddingBag")
_MOST_TRIALS = 256

Sizes = Mapping[str, tuple[int, int]]  # by site: the dimension that changes, and its new size


def plan_sizes(
    root: nn.Module, state: TiedState, choices: Iterator[Sizes], find_fault: Callable[[SharingGraph], str]
) -> tuple[SharingGraph, Sizes]:
    """The graph for new sizes: of the first choice of dimensions that the whole spec agrees with.

    Args:
        root: the tied module.
        state: what it remembers.
        choices: which dimensions are the vocabulary's.
        find_fault: why a graph will not do; empty where it does.

    Raises:
        ApplyError: no choice will do; the text is the reason alone.
    """
    old = state.plan.graph
    errors: list[str] = []
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
        fault = find_fault(graph)
        if not fault:
            return replace(graph, private=resize_private(old, sizes)), sizes
        errors.append(fault)
    raise ApplyError(errors[0] if errors else "no dimension of its sites is the vocabulary's")


def count_rows(graph: SharingGraph, group: SharingGroup) -> int:
    """How many rows the sites of a group have now: the first dimension of its embedding, else of its owner."""
    by_fqn = {site.fqn: site for site in graph.sites}
    first = next((fqn for fqn in group.sites if by_fqn[fqn].module in EMBEDDINGS), group.owner)
    return by_fqn[first].meta.shape[0]


def choose_by_size(graph: SharingGraph, seeds: Sequence[str], old: int, rows: int) -> Iterator[Sizes]:
    """Which dimension of each site that has to do with the seeds is the vocabulary's; first dimensions first.

    Args:
        graph: before the change.
        seeds: FQNs of sites that have to change.
        old: their rows now.
        rows: their rows then.
    """
    by_fqn = {site.fqn: site for site in graph.sites}
    sites = _find_connected(graph, seeds, old)
    ways = [_list_ways(by_fqn[fqn], old, fqn in seeds) for fqn in sites]
    for chosen in product(*ways):
        sizes = {fqn: (way, rows) for fqn, way in zip(sites, chosen, strict=True) if way is not None}
        yield _with_biases(graph, by_fqn, sizes)


def _list_ways(site: Site, old: int, needed: bool) -> list[int | None]:
    ways: list[int | None] = [place for place, size in enumerate(site.meta.shape) if size == old]
    if site.module in EMBEDDINGS and 0 in ways:
        return [0]
    return ways if needed and ways else [*ways, None]


def _find_connected(graph: SharingGraph, seeds: Sequence[str], old: int) -> list[str]:
    """The seeds, and the sites that groups of that size tie to them."""
    found = dict.fromkeys(seeds)
    waiting = [tuple(seeds)]
    seen: set[ParameterName] = set()
    while waiting:
        found.update(dict.fromkeys(waiting.pop()))
        for other in graph.groups:
            if other.name not in seen and old in other.meta.shape and found.keys() & set(other.sites):
                seen.add(other.name)
                waiting.append(other.sites)
    return list(found)


def find_mapped(graph: SharingGraph, name: ParameterName) -> dict[str, Call]:
    """The sites that read rows of the parameter by a map, with that call."""
    return {
        derived.site: call
        for derived in graph.derived
        for call in derived.expression.walk()
        if isinstance(call, Call) and call.function == "rows" and _reads(call, name)
    }


def _reads(call: Call, name: ParameterName) -> bool:
    return any(isinstance(operand, Read) and operand.parameter == name for operand in call.operands)


def choose_by_maps(graph: SharingGraph, mapped: Mapping[str, Call], state: TiedState) -> Iterator[Sizes]:
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


def resize_private(graph: SharingGraph, sizes: Sizes) -> tuple[tuple[str, TensorMeta], ...]:
    return tuple((fqn, _resize_meta(meta, *sizes[fqn]) if fqn in sizes else meta) for fqn, meta in graph.private)


def _resize_meta(meta: TensorMeta, place: int, size: int) -> TensorMeta:
    return replace(meta, shape=(*meta.shape[:place], size, *meta.shape[place + 1 :]))
