"""From a sharing graph to a spec of ties and equations that gives the same graph on the untied model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from lightning_tying.errors import Location, Problem, SpecError
from lightning_tying.graph.files.equations_of_graph import EquationText, find_named, list_equations
from lightning_tying.graph.files.policies_of_graph import name_families
from lightning_tying.graph.matching.site_index import SiteIndex
from lightning_tying.graph.parts import GraphView, SharingGroup
from lightning_tying.spec.equation_words import EquationWords
from lightning_tying.spec.patterns import Pattern, read_pattern
from lightning_tying.spec.scalars import read_scalar
from lightning_tying.spec.schema import Equation, Grad, Init, SharingSpec, Tie
from lightning_tying.spec.value_reader import read_value

ODD_LETTER = re.compile(r"[*{}|=\\\s]")  # what a pattern cannot say literally
NUMBER = re.compile(r"(?<![^.])[0-9]+(?![^.])")  # a whole segment of digits


def graph_to_spec(graph: GraphView, *, keep_names: bool = False) -> SharingSpec:
    """Write every group of two aliases or more as a tie, and what derived sites read as equations.

    Args:
        graph: of `discover` or of a plan.
        keep_names: whether a group of aliases keeps its name, as an equation, where a tie would call it as its owner.

    Returns:
        A spec that gives the same graph on the same model without ties, up to names; where `discover` found a tie of
        sites that were frozen and trainable, that model is refused (74) until `frozen` is declared, since a tied
        module does not show it. A pattern stands for several sites where it matches these and no others; captures are
        not recovered: an index is written out. Files of maps are named as they were, and must be where they were.

    Raises:
        SpecError: a name has a letter that patterns cannot say, one site's parameters have unlike gradient rules, or
            sites share a delta on values that read unlike parameters.
    """
    bound = [site for group in graph.groups for site in group.sites]
    known = SiteIndex([*dict.fromkeys(bound), *(fqn for fqn, _ in graph.private)])
    named = find_named(graph, keep_names=keep_names)
    tied = (group for group in graph.groups if group.name not in named and len(group.uses) > 1)
    ties = [_write_tie(group, known) for group in tied]
    names, policies = name_families(graph, keep_names=keep_names)
    equations = [_write_equation(equation, known) for equation in list_equations(graph, names, keep_names=keep_names)]
    return SharingSpec(entries=(*ties, *equations), parameters=policies)


def _write_tie(group: SharingGroup, known: SiteIndex) -> Tie:
    policy = group.policy
    init = {} if policy.init == Init("first") else {"": policy.init}
    return Tie(sites=tuple(_write_patterns(group.sites, known)), init=init)


def _write_equation(written: EquationText, known: SiteIndex) -> Equation:
    rule = written.grad
    scale = read_scalar(repr(rule.scale)) if rule.kind == "scale" else None
    return Equation(
        sites=tuple(_write_patterns(written.sites, known)),
        value=read_value(written.text, EquationWords()),
        grad=Grad(rule.kind, scale),
        penalty=None if written.penalty is None else read_scalar(repr(written.penalty)),
        keep=written.keep,
    )


def _write_patterns(sites: Iterable[str], known: SiteIndex) -> Iterator[Pattern]:
    """One pattern for each form: `layers.*.norm.weight` where all that it matches are sites of the group."""
    forms: dict[str, list[str]] = {}
    for site in sites:
        forms.setdefault(NUMBER.sub("*", site), []).append(site)
    for form, members in forms.items():
        pattern = read_pattern(_open_odd_letters(form))
        if len(members) > 1 and _matched(pattern, known) == set(members):
            yield pattern
        else:
            yield from (_write_pattern(member, known) for member in members)


def _write_pattern(fqn: str, known: SiteIndex) -> Pattern:
    pattern = read_pattern(_open_odd_letters(fqn))
    if _matched(pattern, known) != {fqn}:
        text = f"{fqn!r} has a letter that patterns cannot say, and {pattern.text} matches other sites too. Rename it."
        raise SpecError([Problem("to_spec", Location(path="share"), text)])
    return pattern


def _matched(pattern: Pattern, known: SiteIndex) -> set[str]:
    return {known.names[position] for position, _ in known.find(pattern)}


def _open_odd_letters(fqn: str) -> str:
    """A letter that is a sign of the language is left open: `a=b` is matched by `a*b`."""
    return ODD_LETTER.sub("*", fqn)
