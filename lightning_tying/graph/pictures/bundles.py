"""A graph in; its derived sites out in bundles that can be shown: those that read alike, with what each has alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from lightning_tying.graph.files.write_expression import outline_expression
from lightning_tying.graph.parts import DerivedSite, GraphView, ParameterName, Penalty, SharingGroup
from lightning_tying.graph.pictures.fold import fold_fqns


@dataclass(frozen=True)
class Bundle:
    """Sites whose values have one form and read the same shared parameters.

    Args:
        form: `W[…] + low_rank(r=8)`.
        sites: FQNs in model order.
        shared: the groups of several uses that all of them read.
        alone: the groups that one of these sites reads alone.
    """

    form: str
    sites: tuple[str, ...]
    shared: tuple[SharingGroup, ...]
    alone: tuple[SharingGroup, ...]


def is_shared(group: SharingGroup) -> bool:
    """Whether a group is shown with its sites: not one that a single derived site reads."""
    return len(group.uses) > 1 or group.is_plain


def bundle_sites(graph: GraphView) -> tuple[Bundle, ...]:
    """All derived sites, in the order of the first of each bundle."""
    groups = {group.name: group for group in graph.groups}
    bundles: dict[tuple[str, tuple[ParameterName, ...]], list[DerivedSite]] = defaultdict(list)
    for derived in graph.derived:
        read = [name for name in derived.expression.parameters if is_shared(groups[name])]
        bundles[outline_expression(derived.expression), tuple(read)].append(derived)
    return tuple(
        Bundle(
            form,
            tuple(derived.site for derived in members),
            tuple(groups[name] for name in read),
            tuple(_list_alone(members, groups)),
        )
        for (form, read), members in bundles.items()
    )


def _list_alone(members: Iterable[DerivedSite], groups: dict[ParameterName, SharingGroup]) -> Iterable[SharingGroup]:
    names = dict.fromkeys(name for derived in members for name in derived.expression.parameters)
    return (groups[name] for name in names if not is_shared(groups[name]))


def list_forms(graph: GraphView) -> dict[str, tuple[str, ...]]:
    """The forms of values, each with its sites."""
    forms: dict[str, list[str]] = defaultdict(list)
    for derived in graph.derived:
        forms[outline_expression(derived.expression)].append(derived.site)
    return {form: tuple(sites) for form, sites in forms.items()}


def list_readers(group: SharingGroup, forms: dict[str, str]) -> list[str]:
    """The sites of a group, folded; a derived one with the form of its value behind an arrow."""
    by_form: dict[str, list[str]] = defaultdict(list)
    for use in group.uses:
        by_form[forms.get(use.site, "")].append(use.site)
    return [f"{line} <- {form}" if form else line for form, sites in by_form.items() for line in fold_fqns(sites)]


def forms_of_sites(graph: GraphView) -> dict[str, str]:
    """The form of each derived site's value."""
    return {derived.site: outline_expression(derived.expression) for derived in graph.derived}


def fold_penalties(penalties: Iterable[Penalty]) -> list[str]:
    """`0.01 × |layers.{0…5}.fc.weight - W[…]|²`, one line for each weight and form."""
    folded: dict[tuple[float, str], list[str]] = defaultdict(list)
    for penalty in penalties:
        folded[penalty.weight, outline_expression(penalty.expression)].append(penalty.site)
    return [
        f"{weight:g} × |{line} - {_bracket(form)}|²"
        for (weight, form), sites in folded.items()
        for line in fold_fqns(sites)
    ]


def _bracket(form: str) -> str:
    return f"({form})" if " + " in form or " - " in form else form
