"""The graphs before and after a change of vocabulary in; which groups change, and along which dimension, out."""

from __future__ import annotations

from collections.abc import Mapping

from lightning_tying.algebra.expression import Call, FileMap, ParameterName
from lightning_tying.errors import ApplyError
from lightning_tying.graph.ir import SharingGraph, SharingGroup
from lightning_tying.lowering.edits.vocabulary_sites import Sizes, find_mapped


def find_changed(
    old: SharingGraph, new: SharingGraph, table: SharingGroup | None, sizes: Sizes, rows: tuple[int, int]
) -> dict[ParameterName, int]:
    """The vocabulary's dimension of every group that has one.

    Args:
        old: before.
        new: after; groups have the same names.
        table: what was named, or is read by maps.
        sizes: by site, the vocabulary's dimension and its new size.
        rows: of the table, before and after.

    Raises:
        ApplyError: it is not clear which dimension of a group is the vocabulary's.
    """
    before = {group.name: group.meta.shape for group in old.groups}
    found: dict[ParameterName, int] = {}
    for group in new.groups:
        shape = before[group.name]
        if shape != group.meta.shape:
            found[group.name] = _find_difference(group, shape)
        elif rows[0] == rows[1] and _knows(new, group, table, sizes, rows[0]):
            found[group.name] = _find_size(group, sizes, rows[0])
    return found


def refuse_local(old: SharingGraph, new: SharingGraph, changed: Mapping[ParameterName, int], sizes: Sizes) -> None:
    """Refuse parameters with a row for each id of one member, where only the rows of the shared table are known.

    Args:
        old: before.
        new: after.
        changed: by group, the vocabulary's dimension.
        sizes: by site, the member's dimension and its new size.

    Raises:
        ApplyError: naming the first.
    """
    local = [str(group.name) for group in new.groups if group.name in changed and not find_mapped(old, group.name)]
    bound = {site for group in new.groups for site in group.sites}
    local += [site for site in sizes if site not in bound]
    if local:
        raise ApplyError(
            f"{local[0]} has a value for each id of one member vocabulary, and the change is of the rows that the "
            "members share. Read it from a shared table by the same map (`head.bias = rows(bias, map=…)`), or leave "
            "it out, before the vocabulary changes."
        )


def _find_difference(group: SharingGroup, before: tuple[int, ...]) -> int:
    after = group.meta.shape
    places = [place for place, size in enumerate(before) if len(after) == len(before) and after[place] != size]
    if len(places) != 1:
        raise ApplyError(
            f"`{group.name}` would change from {list(before)} to {list(after)}, which is no change of rows. Untie it "
            "first, or keep the old vocabulary."
        )
    return places[0]


def _knows(new: SharingGraph, group: SharingGroup, table: SharingGroup | None, sizes: Sizes, rows: int) -> bool:
    """Whether a group whose shape stays has a row for each id."""
    if rows not in group.meta.shape:
        return False
    mapped = find_mapped(new, group.name)
    if table is not None and mapped:
        return group.name == table.name or bool(_maps(mapped) & _maps(find_mapped(new, table.name)))
    return any(site in sizes for site in group.sites)


def _maps(mapped: Mapping[str, Call]) -> set[str]:
    """The paths of the maps by which a table is read."""
    values = (value for call in mapped.values() for _, value in call.arguments)
    return {value.path for value in values if isinstance(value, FileMap)}


def _find_size(group: SharingGroup, sizes: Sizes, rows: int) -> int:
    shape = group.meta.shape
    places = [place for place, size in enumerate(shape) if size == rows]
    bare = {sizes[use.site][0] for use in group.uses if use.bare and use.site in sizes}
    if len(places) > 1 and len(bare) == 1:
        return bare.pop()
    if len(places) > 1:
        raise ApplyError(
            f"`{group.name}` is {list(shape)}, and it is not clear which dimension has the {rows} rows of the "
            "vocabulary. Give the new vocabulary another number of rows."
        )
    return places[0]
