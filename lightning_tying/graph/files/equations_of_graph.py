"""A graph in; its derived sites, the aliases beside them and its penalties out, as the texts of equations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field, replace

from lightning_tying.algebra.expression import Call, Read
from lightning_tying.errors import Location, Problem, SpecError
from lightning_tying.graph.files.rename import rename_parameters
from lightning_tying.graph.files.write_expression import write_expression
from lightning_tying.graph.parts import DerivedSite, GradientRule, GraphView, ParameterName, SharingGroup


@dataclass(frozen=True)
class EquationText:
    """One equation for sites that read alike.

    Args:
        text: the right side.
        grad: what the uses add to the gradients of named parameters.
        keep: whether values are kept for the backward pass.
        penalty: the weight of a squared distance; None for an equation that binds.
        sites: FQNs in model order.
    """

    text: str
    grad: GradientRule = field(default=GradientRule())
    keep: bool = False
    penalty: float | None = None
    sites: tuple[str, ...] = ()


def list_equations(
    graph: GraphView, names: Mapping[ParameterName, ParameterName], *, keep_names: bool = False
) -> list[EquationText]:
    """Equations for all that a tie cannot say, those of one text with all their sites.

    Args:
        graph: of `discover` or of a plan.
        names: under which each shared parameter is written.
        keep_names: what `find_named` takes.

    Raises:
        SpecError: the named parameters of one site have unlike gradient rules, or sites share a delta on unlike values.
    """
    sites: dict[EquationText, list[str]] = {}
    for site, equation in _list_single(graph, names, find_named(graph, keep_names=keep_names)):
        sites.setdefault(equation, []).append(site)
    _check_brought(graph, {site: equation for equation, members in sites.items() for site in members})
    return [replace(equation, sites=tuple(members)) for equation, members in sites.items()]


def find_named(graph: GraphView, *, keep_names: bool = False) -> frozenset[ParameterName]:
    """The parameters that must be named: a derived site or a penalty reads them, or they have a policy.

    Args:
        graph: of `discover` or of a plan.
        keep_names: whether those that several sites read are named as well, where their name is not the owner's FQN.
    """
    expressions = (*(derived.expression for derived in graph.derived), *(one.expression for one in graph.penalties))
    read = [name for expression in expressions for name in expression.parameters]
    kept = (group.name for group in graph.groups if _has_policy(group) or (keep_names and _has_name(group)))
    return frozenset([*read, *kept])


def _has_name(group: SharingGroup) -> bool:
    """Whether several sites read it under a name of its own, which a tie without one would not give it."""
    return len(group.uses) > 1 and str(group.name) != group.owner and group.name.family.isidentifier()


def _has_policy(group: SharingGroup) -> bool:
    """Whether it has what a tie cannot say; a frozen one is declared so, since the untied sites may train."""
    policy = group.policy
    declared = policy.frozen is not None or policy.dtype is not None
    return declared or not group.meta.trainable or (policy.lr, policy.weight_decay) != (1.0, 1.0)


def _list_single(
    graph: GraphView, names: Mapping[ParameterName, ParameterName], named: Container[ParameterName]
) -> Iterator[tuple[str, EquationText]]:
    rules: dict[str, dict[ParameterName, GradientRule]] = {}
    for group in graph.groups:
        for use in group.uses:
            rules.setdefault(use.site, {})[group.name] = use.grad
            if group.name in named and not use.slot:
                yield use.site, EquationText(write_expression(Read(group.meta.shape, names[group.name])))
    readers = Counter(derived.expression for derived in graph.derived)
    for derived in graph.derived:
        alone = derived.site if readers[derived.expression] == 1 else ""  # two sites that read one delta need its index
        text = write_expression(rename_parameters(derived.expression, names), alone)
        yield derived.site, EquationText(text, _choose_rule(derived, rules[derived.site]), derived.keep)
    for penalty in graph.penalties:
        text = write_expression(rename_parameters(penalty.expression, names), penalty.site)
        yield penalty.site, EquationText(text, penalty=penalty.weight)


def _check_brought(graph: GraphView, equations: Mapping[str, EquationText]) -> None:
    """What functions bring is named in one equation only (error 59)."""
    first: dict[ParameterName, DerivedSite] = {}
    for derived in graph.derived:
        for own in _list_brought(derived):
            other = first.setdefault(own, derived)
            if equations[other.site] != equations[derived.site]:
                text = (
                    f"{other.site} and {derived.site} share {own} and read unlike values otherwise. One equation says "
                    "that with a hole in its pattern, which a graph has not; write it by hand, or take the plan's spec."
                )
                raise SpecError([Problem("to_spec", Location(path="share"), text)])


def _list_brought(derived: DerivedSite) -> set[ParameterName]:
    return {own.parameter for node in derived.expression.walk() if isinstance(node, Call) for own in node.own}


def _choose_rule(derived: DerivedSite, rules: Mapping[ParameterName, GradientRule]) -> GradientRule:
    """The one rule of all named parameters; what functions bring has the default."""
    brought = _list_brought(derived)
    found = list(dict.fromkeys(rule for name, rule in rules.items() if name not in brought))
    if len(found) > 1:
        text = f"{derived.site}: its parameters have unlike gradient rules, which one equation cannot say."
        raise SpecError([Problem("to_spec", Location(path="share"), text)])
    return found[0] if found else GradientRule()
