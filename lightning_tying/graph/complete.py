"""The mistakes of a draft in, the same with what only the model can add to their texts out (errors 52 and 85)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lightning_tying.errors import Problem
from lightning_tying.graph.inventory import Inventory
from lightning_tying.graph.matching.match import Match, Matcher
from lightning_tying.graph.matching.names import name_parameters
from lightning_tying.graph.report import Report
from lightning_tying.spec.nodes import Refused
from lightning_tying.spec.schema import Equation, SharingSpec

_NO_END = "d0, d1, …."


def complete_problems(spec: SharingSpec, inventory: Inventory) -> tuple[Problem, ...]:
    """The problems of a draft, those of sizes with the sizes of a site, those of members with the member's name.

    Args:
        spec: a draft; its refused entries say which sites they are about.
        inventory: what `take_inventory` found in the module.
    """
    if all(problem.code not in ("52", "85") for problem in spec.problems):
        return spec.problems
    matcher = Matcher(inventory, spec.root, Report())
    refused = {entry.location.path: entry for entry in spec.refused}
    return tuple(_complete(problem, refused.get(problem.location.path), spec, matcher) for problem in spec.problems)


def _complete(problem: Problem, refused: Refused | None, spec: SharingSpec, matcher: Matcher) -> Problem:
    if refused is None or problem.code not in ("52", "85"):
        return problem
    matches = [match for pattern in refused.sites for match in matcher.find(pattern)]
    if problem.code == "52":
        return replace(problem, text=_add_sizes(problem.text, matches))
    text = problem.text
    for written, member in _name_members(refused, spec, matches):
        text = text.replace(f"`{written}`", f"`{member}`")
    return replace(problem, text=text)


def _add_sizes(text: str, matches: list[Match]) -> str:
    """`(at layers.0.mlp.up.weight 128, 64)`: the sizes at the first site, at one with two of them if there is one."""
    match = next((match for match in matches if len(match.site.meta.shape) > 1), matches[0] if matches else None)
    if match is None or not text.endswith(_NO_END):
        return text
    sizes = ", ".join(str(size) for size in match.site.meta.shape)
    return f"{text.removesuffix('.')} (at {match.fqn} {sizes})."


def _name_members(refused: Refused, spec: SharingSpec, matches: list[Match]) -> Iterator[tuple[str, str]]:
    """What a penalty reads, as written and as the member's name at the first site."""
    entry = refused.entry
    if not isinstance(entry, Equation) or not matches:
        return
    for ref in entry.value.refs():
        names = name_parameters(ref, matches[:1], spec.let, entry.location, Report())
        if names:
            yield ref.text, str(names[0])
