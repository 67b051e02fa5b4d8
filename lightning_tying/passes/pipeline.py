"""The passes in their order, and the loop that runs them: a graph in, a checked graph out."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from lightning_tying.errors import Problem, SpecError
from lightning_tying.graph.build import draft_graph
from lightning_tying.graph.collector import pause_gc
from lightning_tying.graph.complete import complete_problems
from lightning_tying.graph.inventory import Inventory
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.passes.check_computed import check_computed
from lightning_tying.passes.check_devices import check_devices
from lightning_tying.passes.check_dtypes import check_dtypes
from lightning_tying.passes.check_gradients import check_gradients
from lightning_tying.passes.check_inits import check_inits
from lightning_tying.passes.check_shapes import check_shapes
from lightning_tying.passes.check_trainable import check_trainable
from lightning_tying.passes.warn_roles import warn_roles
from lightning_tying.spec.schema import SharingSpec

Pass: TypeAlias = Callable[[SharingGraph], SharingGraph]

PASSES: tuple[Pass, ...] = (
    check_shapes,
    check_dtypes,
    check_computed,
    check_devices,
    check_gradients,
    check_trainable,
    check_inits,
    warn_roles,
)


def run_passes(
    graph: SharingGraph, passes: Sequence[Pass] = PASSES, *, problems: Iterable[Problem] = ()
) -> SharingGraph:
    """Run all passes over a graph.

    Args:
        graph: what `build_graph` made.
        passes: functions from graph to graph, in their order.
        problems: mistakes that are known already, to be told together with those of the checks.

    Returns:
        The graph with what the passes added.

    Raises:
        SpecError: with the problems of all checks; its notes name the checks.
    """
    found, notes = list(problems), list[str]()
    for step in passes:
        try:
            graph = step(graph)
        except SpecError as error:
            found += error.problems
            notes.append(f"refused by {step.__name__}")
        except Exception as error:
            error.add_note(f"while {step.__name__} looked at a graph of {len(graph.groups)} sharing groups")
            raise
    if found:
        raise _make_error(found, notes)
    return graph


def plan_graph(spec: SharingSpec, inventory: Inventory, *, strict: bool = True) -> SharingGraph:
    """Build the graph of a spec and run all passes; every mistake of both is told at once.

    Args:
        spec: what was written; the mistakes of a draft are told too.
        inventory: what `take_inventory` found in the module.
        strict: False turns patterns without a match into warnings.

    Raises:
        SpecError: with all mistakes.
    """
    with pause_gc():
        drafted = draft_graph(spec, inventory, strict=strict)
        problems = (*complete_problems(spec, inventory), *drafted.problems)
        return run_passes(drafted.graph, problems=problems)


def _entry_number(problem: Problem) -> int:
    """The order of the mistakes of a mapping, which has no lines: what is above the entries, they, the rest."""
    inside = re.match(r"share\[([0-9]+)\]", problem.location.path)
    if inside is not None:
        return int(inside[1])
    return sys.maxsize if problem.location.path.startswith(("parameters", "sync")) else -1


def _make_error(problems: Iterable[Problem], notes: Iterable[str]) -> SpecError:
    error = SpecError(sorted(problems, key=_entry_number))
    for note in notes:
        error.add_note(note)
    return error
