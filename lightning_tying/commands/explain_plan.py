"""A plan in; what `plan --explain` adds out: presets as equations, what each binds, initial values, steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lightning_tying.algebra.expand import expand
from lightning_tying.algebra.expression import Expression
from lightning_tying.algebra.primitives.add import Add
from lightning_tying.algebra.primitives.concat import Concat
from lightning_tying.algebra.primitives.einsum import Einsum
from lightning_tying.algebra.primitives.gather import Gather
from lightning_tying.algebra.primitives.node import Node
from lightning_tying.algebra.primitives.projections import FastFood, SparseProduct
from lightning_tying.algebra.primitives.ref import Ref
from lightning_tying.errors import Location
from lightning_tying.graph.ir import SharingGraph, SharingGroup
from lightning_tying.graph.pictures.render_text import count_things
from lightning_tying.lowering.plan import Plan
from lightning_tying.spec.dumper import dump_spec
from lightning_tying.spec.expand_presets import expand_presets
from lightning_tying.spec.schema import Entry, Equation, Tie

# All others are a `map`: a function of each cell, or one of the user's own.
PRIMITIVES: dict[type[Node], str] = {
    Ref: "ref",
    Gather: "gather",
    Concat: "concat",
    Einsum: "einsum",
    SparseProduct: "einsum",
    FastFood: "einsum",
    Add: "add",
}
NOT_WRITTEN = {
    "variance": "drawn: normal, so that the variance of the first site is kept",
    "orthogonal_rows": "drawn: rows of an orthogonal matrix",
    "solved": "solved from its site",
}


def explain_plan(plan: Plan) -> str:
    """The expansion of the spec and what becomes of it.

    Args:
        plan: of a spec and a model, not one that was read from data.
    """
    spec = expand_presets(plan.spec)
    blocks = {
        "spec": dump_spec(spec).splitlines(),
        "equations": [line for entry in spec.entries for line in _explain_entry(entry, plan.graph)],
        "initial values": list(_explain_inits(plan.graph.groups)),
        "steps": [str(step) for step in plan.steps],
    }
    return "\n\n".join("\n".join([title, *(f"    {line}" for line in lines)]) for title, lines in blocks.items())


def name_primitives(expression: Expression) -> tuple[str, ...]:
    """The primitives that compute a value, each once, from the outermost: add, ref, einsum."""
    slots = {name: number for number, name in enumerate(expression.parameters)}
    names = (PRIMITIVES.get(type(node), "map") for node in _walk(expand(expression, slots)) if node.operands)
    return tuple(dict.fromkeys((*names, "ref")))


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for operand in node.operands:
        yield from _walk(operand)


def _explain_entry(entry: Entry, graph: SharingGraph) -> Iterator[str]:
    if isinstance(entry, Tie):
        yield f"tie {', '.join(pattern.text for pattern in entry.sites)}"
        sites = dict.fromkeys(use.site for _, use in graph.uses() if use.location == entry.location)
        yield f"    {count_things(len(sites), 'site')}: aliases"
    elif isinstance(entry, Equation):
        where = "" if entry.where is None else f"  where {entry.where}"
        yield f"{', '.join(pattern.text for pattern in entry.sites)} = {entry.value}{where}"
        yield f"    {_explain_equation(entry, graph)}"


def _explain_equation(entry: Equation, graph: SharingGraph) -> str:
    if entry.penalty is not None:
        compared = [penalty for penalty in graph.penalties if penalty.location == entry.location]
        return f"a penalty on {count_things(len(compared), 'site')}; nothing is bound"
    sites = {use.site for _, use in graph.uses() if _comes_from(use.location, use.written.text, entry)}
    derived = [derived for derived in graph.derived if derived.site in sites]
    told = count_things(len(sites), "site")
    if not derived:
        return f"{told}: {'alias' if len(sites) == 1 else 'aliases'}" if sites else told
    kept = len(sites) - len(derived)
    made = dict.fromkeys(name for one in derived for name in name_primitives(one.expression))
    aliases = f"{kept:,} {'alias' if kept == 1 else 'aliases'}, the others " if kept else ""
    return f"{told}: {aliases}computed by {', '.join(made)}"


def _comes_from(location: Location, text: str, entry: Equation) -> bool:
    """Several equations of one preset have one place; their right sides differ."""
    return location == entry.location and text in ("", entry.value.text)


def _explain_inits(groups: Iterable[SharingGroup]) -> Iterator[str]:
    folded: dict[tuple[str, str], list[SharingGroup]] = {}
    for group in groups:
        folded.setdefault((group.name.family, _describe_init(group)), []).append(group)
    for (family, told), members in folded.items():
        name = str(members[0].name) if len(members) == 1 else f"{family}[…] ({len(members):,})"
        yield f"{name}  {told}"


def _describe_init(group: SharingGroup) -> str:
    policy = group.policy
    if policy.init.kind in NOT_WRITTEN:
        return NOT_WRITTEN[policy.init.kind]
    if not policy.init_sites:
        return f"drawn: {policy.init}"
    return f"{policy.init}, from {count_things(len(policy.init_sites), 'site')}"
