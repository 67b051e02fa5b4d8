"""The pipeline on one page: what was written -> what it means -> what is done -> what it saves."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import replace

from torch import nn

from lightning_tying.errors import Problem, SharingWarning
from lightning_tying.graph.collector import pause_gc
from lightning_tying.graph.discover import discover_graph
from lightning_tying.graph.inventory import take_inventory
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.lowering.again import check_same
from lightning_tying.lowering.apply import apply_plan, preview_plan
from lightning_tying.lowering.edits.join import join
from lightning_tying.lowering.edits.split import split
from lightning_tying.lowering.initial.distances import InitialReport
from lightning_tying.lowering.lower import lower
from lightning_tying.lowering.materialize import materialize_module
from lightning_tying.lowering.plan import Plan
from lightning_tying.lowering.preconditions import check_can_change, check_graph, check_module
from lightning_tying.lowering.runtime import cached_values
from lightning_tying.lowering.state import read_state, require_state
from lightning_tying.lowering.state_dicts.conflict_policy import set_policy
from lightning_tying.lowering.state_dicts.conflicts import ConflictPolicy, check_policy
from lightning_tying.lowering.strategy_words import name_strategy
from lightning_tying.lowering.undo import untie_module
from lightning_tying.lowering.verify import verify_tied
from lightning_tying.parallel.facts import RunFacts
from lightning_tying.parallel.plan_run import plan_run
from lightning_tying.passes.pipeline import plan_graph
from lightning_tying.reports.reckoning.other_parameters import add_other_parameters
from lightning_tying.reports.savings import SavingsReport, reckon_savings
from lightning_tying.spec.loader import load_spec
from lightning_tying.spec.schema import SharingSpec
from lightning_tying.spec.sources import Source

__all__ = [
    "cache_values",
    "discover",
    "get_plan",
    "join",
    "make_plan",
    "materialize",
    "report_distances",
    "report_savings",
    "split",
    "tie",
    "untie",
    "verify",
]


def tie(module: nn.Module, spec: Source | Plan, *, strict: bool = True, on_conflict: ConflictPolicy = "error") -> Plan:
    """Let the sites of `module` share parameters as `spec` says, in place.

    A spec that means the same on a tied module, whatever the order of its equations, changes nothing but restores
    ties that were lost or parted by `untie(module, sites)`. Works on the meta device:
    the ties are made, and drawn initial values follow when the module becomes real.

    Args:
        module: any module, before an optimizer, DDP, `fully_shard` or `parallelize_module` has seen it.
        spec: a spec, a plan of `make_plan`, a mapping, YAML text, or a path (also as a one-line text that ends
            in .yaml, .yml or .json).
        strict: False turns patterns without a match into warnings.
        on_conflict: what becomes of weights that are loaded later and have two values for one parameter: `error`
            refuses them; `owner` takes the owner's; `mean` their average; `untie` gives the sites that differ
            parameters of their own. The last `tie` decides.

    Returns:
        What was done; `print` it, or pass it to `report_savings`.

    Raises:
        SpecError: with all mistakes of the spec. Nothing has changed.
        ApplyError: the module is tied by another spec, or wrapped. Nothing has changed.
        ConfigError: `on_conflict` is no policy. Nothing has changed.
    """
    check_policy(on_conflict)
    module = check_can_change(module, "tie")
    new = read_state(module) is None
    with pause_gc():
        plan = _plan_for(module, spec, strict=strict)
        report = apply_plan(plan, module)
    set_policy(module, on_conflict)
    if new:
        _warn((*plan.warnings, *report.warnings))
    return require_state(module).plan


def untie(module: nn.Module, sites: Iterable[str] | None = None) -> None:
    """Give every site, or the named ones, a parameter of its own; values and `requires_grad` are kept.

    Raises:
        ApplyError: a name is not a site, or its module lies at two paths. Nothing has changed.
    """
    untie_module(check_can_change(module, "untie"), sites)


def make_plan(module: nn.Module, spec: Source, *, strict: bool = True, facts: RunFacts | None = None) -> Plan:
    """What `tie` would do, without touching the module.

    Args:
        module: on any device.
        spec: as for `tie`.
        strict: False turns patterns without a match into warnings.
        facts: how the module is going to be run. The plan's `sharding` then says what the strategy divides, and how.

    Raises:
        SpecError: with all mistakes of the spec.
        ApplyError: the run of `facts` would part what the spec ties.
    """
    module = check_module(module, "make_plan")
    with pause_gc():
        written = SharingSpec.draft(spec)
        inventory = take_inventory(module)
        graph = plan_graph(written, inventory, strict=strict)
        plan = lower(add_other_parameters(graph, module, inventory), written)
    return plan if facts is None else replace(plan, sharding=plan_run(plan.graph, module, facts))


def get_plan(module: nn.Module) -> Plan:
    """The plan that a module is tied by; wrappers of torch.compile, DDP and Fabric are looked through.

    Raises:
        ApplyError: it is not tied; the text names tied modules inside it.
    """
    return require_state(check_module(module, "get_plan")).plan


def discover(module: nn.Module) -> SharingGraph:
    """The ties that a module already has, whoever made them; `.to_spec()` gives the YAML."""
    module = check_module(module, "discover")
    inventory = take_inventory(module)
    return add_other_parameters(discover_graph(inventory), module, inventory)


def verify(module: nn.Module) -> None:
    """Check that every tie of the module, and of tied modules inside it, holds.

    Args:
        module: a tied module; wrappers of torch.compile, DDP and Fabric are looked through.

    Raises:
        TieBroken: naming sharing group, sites, strategy and likely cause.
        ApplyError: nothing in it is tied by a spec, or shared parameters are read under reentrant activation
            checkpointing.
    """
    inner = check_module(module, "verify")
    verify_tied(inner, name_strategy(module) if inner is not module else None)


def materialize(module: nn.Module) -> nn.Module:
    """Write every derived value in, in place, and leave a plain module with the same outputs.

    Sites that are one parameter stay one; nothing keeps them so from now on. For a copy: `materialize(deepcopy(m))`.

    Raises:
        ApplyError: the module is wrapped by a strategy, or sharded. Nothing has changed.
    """
    materialize_module(check_can_change(module, "materialize"))
    return module


def cache_values(module: nn.Module) -> AbstractContextManager[None]:
    """Compute each derived value once for all forwards inside, without gradients: for a whole generation.

    The shared parameters must not change inside; torch does not tell of every write.

    Example:
        ```python
        with cache_values(model), torch.inference_mode():
            model.generate(tokens)
        ```
    """
    return cached_values.cache_values(check_module(module, "cache_values"))


def report_distances(module: nn.Module, spec: Source | Plan | None = None, *, strict: bool = True) -> InitialReport:
    """How far the initial values are from what the sites held: ‖site − value‖ / ‖site‖ of every site.

    Args:
        module: a tied module: what its `tie` found; or one that is not tied: what `tie(module, spec)` would find,
            without touching it.
        spec: as for `tie`; a tied module needs none.
        strict: False turns patterns without a match into warnings.

    Returns:
        `print` shows the worst ten; `.distances` has all, `.to_dict()` is data for JSON.

    Raises:
        SpecError: with all mistakes of the spec.
        ApplyError: the module is not tied and no spec is given, or the spec is another one than it is tied by.
    """
    module = check_module(module, "report_distances")
    state = read_state(module)
    if spec is None:
        return require_state(module).report
    with pause_gc():
        plan = _plan_for(module, spec, strict=strict)
        if state is None:
            return preview_plan(plan, module)
    check_same(plan, module, state)
    return state.report


def report_savings(plan_or_graph: Plan | SharingGraph) -> SavingsReport:
    """What a plan, or the ties of a graph, save; `print` shows a table."""
    return reckon_savings(check_graph(plan_or_graph))


def _plan_for(module: nn.Module, spec: Source | Plan, *, strict: bool) -> Plan:
    if isinstance(spec, Plan):
        return spec
    state = read_state(module)
    if state is None:
        return make_plan(module, spec, strict=strict)
    known = state.whole or state.plan
    written = load_spec(spec)
    if written == known.spec:
        return known
    inventory = take_inventory(module)
    if known.graph.sites:  # the module as it was when the plan was made: its own ties would look like the user's
        inventory = replace(inventory, sites=known.graph.sites, values=())
    return lower(plan_graph(written, inventory, strict=strict), written)


def _warn(problems: Iterable[Problem]) -> None:
    for problem in problems:
        warnings.warn(f"{problem.code} {problem}", SharingWarning, stacklevel=3)
