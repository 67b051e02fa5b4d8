"""A graph in; names for the parameters of its derived sites out, and policies that hold for each family of them."""

from __future__ import annotations

from collections.abc import Container, Iterable
from itertools import chain, count
from typing import Literal, get_args

from lightning_tying.algebra.expression import Call, Expression, ParameterName, Read
from lightning_tying.graph.files.equations_of_graph import find_named
from lightning_tying.graph.parts import GraphView, SharingGroup
from lightning_tying.spec.scalars import Scalar, read_scalar
from lightning_tying.spec.schema import InitKind, Policy

_WRITABLE = frozenset(get_args(InitKind)) - {"first"}


def name_families(
    graph: GraphView, *, keep_names: bool = False
) -> tuple[dict[ParameterName, ParameterName], dict[str, Policy]]:
    """How the parameters of derived sites are written.

    Args:
        graph: of `discover` or of a plan.
        keep_names: what `find_named` takes.

    Returns:
        A name for each group (its own one, or one of another family where the members of a family have unlike shapes
        or policies, or where it is the owner's FQN), and a policy for each family that needs one: the shape of what no
        site reads as it is is declared, since a function such as `hashed` leaves it open.
    """
    expressions = [derived.expression for derived in graph.derived]
    inferred = _list_inferred(expressions)
    dtypes = _list_site_dtypes(graph)
    names = {group.name: group.name for group in graph.groups}
    policies: dict[str, Policy] = {}
    found_names = {group.name.family for group in graph.groups if str(group.name) == group.owner}  # of `discover`
    taken = {group.name.family for group in graph.groups}
    for family, groups in _group_by_family(graph, find_named(graph, keep_names=keep_names)).items():
        kinds: dict[Policy, list[SharingGroup]] = {}
        for group in groups:
            shape = None if group.name in inferred or not group.uses[0].slot else group.meta.shape
            kinds.setdefault(_write_policy(group, shape, dtypes.get(group.name, group.meta.dtype)), []).append(group)
        if "." in family and family not in found_names and len(kinds) > 1:
            continue  # what a function brings is called after the function, whatever its policies are
        for number, (policy, members) in enumerate(kinds.items()):
            called = _find_free(family, taken) if number or family in found_names else family
            taken.add(called)
            names |= {group.name: ParameterName(called, group.name.index) for group in members}
            if policy != Policy():
                policies[called] = policy
    return names, policies


def _group_by_family(graph: GraphView, named: Container[ParameterName]) -> dict[str, list[SharingGroup]]:
    families: dict[str, list[SharingGroup]] = {}
    for group in graph.groups:
        if group.name in named:
            families.setdefault(group.name.family, []).append(group)
    return families


def _list_inferred(expressions: Iterable[Expression]) -> set[ParameterName]:
    """What functions bring, and the cores of `tt`: their shapes follow from the call."""
    inferred: set[ParameterName] = set()
    for expression in expressions:
        for node in expression.walk():
            if isinstance(node, Call):
                inferred |= {own.parameter for own in node.own}
                if node.function == "tt":
                    inferred |= {core.parameter for core in node.operands if isinstance(core, Read)}
    return inferred


def _list_site_dtypes(graph: GraphView) -> dict[ParameterName, str]:
    """The dtype of a site that reads each parameter."""
    return {name: derived.meta.dtype for derived in graph.derived for name in derived.expression.parameters}


def _write_policy(group: SharingGroup, shape: tuple[int, ...] | None, dtype: str) -> Policy:
    policy = group.policy
    sizes: tuple[Scalar | None, ...] | None = None if shape is None else tuple(read_scalar(str(size)) for size in shape)
    return Policy(
        shape=sizes,
        init=policy.init if policy.init.kind in _WRITABLE else None,
        lr=policy.lr,
        weight_decay=policy.weight_decay,
        frozen=policy.frozen if group.meta.trainable else True,
        dtype=_find_dtype(group.meta.dtype) if group.meta.dtype != dtype else None,
    )


def _find_dtype(text: str) -> Literal["float32", "bfloat16", "float16", "float64"] | None:
    """The dtype as a policy says it; None for one that cannot be declared."""
    match text:
        case "float32" | "bfloat16" | "float16" | "float64":
            return text
        case _:
            return None


def _find_free(family: str, taken: set[str]) -> str:
    base = family.rpartition(".")[2] if family.rpartition(".")[2].isidentifier() else "shared"
    free = chain([base], (f"{base}_{number}" for number in count(2)))
    return next(name for name in free if name not in taken)
