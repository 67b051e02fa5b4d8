"""`lightning-tying plan`: a run config goes in, what its sharing spec means and saves comes out."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import cast, get_args

from lightning.pytorch import LightningModule

from lightning_tying.api import report_distances, report_savings
from lightning_tying.callbacks.parameter_savings import find_plan
from lightning_tying.commands.explain_plan import explain_plan
from lightning_tying.commands.forecast_run import forecast_run
from lightning_tying.commands.meta_model import ModelOnlyCLI, RealModelCLI, make_model
from lightning_tying.commands.options import take_flag, take_option
from lightning_tying.commands.planned_vocabularies import check_planned_vocabularies
from lightning_tying.commands.strategy_words import take_facts
from lightning_tying.errors import ConfigError
from lightning_tying.graph.ir import Format
from lightning_tying.lowering.initial.distances import InitialReport
from lightning_tying.lowering.plan import Plan
from lightning_tying.lowering.state import find_tied
from lightning_tying.parallel.plan_run import plan_run
from lightning_tying.reports.reckoning.run_savings import RunSavings
from lightning_tying.tasks.watch.parallelize import find_graph, find_root

FORMATS: tuple[str, ...] = get_args(Format)
USAGE = """\
usage: lightning-tying plan --config RUN.yaml [--format text|json|mermaid|dot|html] [--explain]
                            [--values] [--strategy NAME] [--let NAME=VALUE …] [--KEY VALUE …]

Shows what the sharing spec of a run config means: the shared parameters, who reads them, and what the run saves, with
its optimizer, strategy and precision, as ParameterSavings says when it starts. The model is built on the meta device:
nothing is allocated, and no data is read.

  --config FILE      a run config; several are read one after the other
  --sharing FILE     another sharing spec than the config's, or one for a LightningModule of your own
  --format FORMAT    text (default), json (the plan as data), mermaid, dot, html
  --let NAME=VALUE   another value of the spec's `let`: --let K=6
  --explain          more: the spec with its presets as equations, how many sites each equation binds and what
                     computes them, how each parameter gets its initial value, and every step
  --values           more: the model is built for real, on the CPU, with init_from where it is given, and the ten sites
                     that start farthest from what they were are named; with --format json all sites
  --strategy NAME    more: how single, ddp, fsdp2, fsdp1 or deepspeed divides the module, for fsdp2 unit by unit; with
                     --devices N (default 2), --tensor_parallel_size N (default 1), --precision WORD, and --units FILE
                     for units that are written by hand
  --KEY VALUE        overrides, as for fit: --model.network.init_args.depth 12"""


def plan(words: list[str]) -> int:
    """Print the plan of a run config.

    Raises:
        ConfigError: the config is wrong, or has no sharing.
        SpecError: the sharing spec is wrong, or does not fit the model or the vocabularies of its data.
        ApplyError: the strategy would part what the spec ties, or written units do not fit.
    """
    if not words or words in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    words, facts, units = take_facts(words)
    words, chosen = take_option(words, "--format", FORMATS)
    words, explain = take_flag(words, "--explain")
    words, values = take_flag(words, "--values")
    kind = RealModelCLI if values else ModelOnlyCLI
    made = make_model(kind, words, ("format", "explain", "values", "strategy", "devices", "units"))
    model = made.model
    found = require_plan(model)
    check_planned_vocabularies(model, made.data_options)
    if facts is not None:
        tied = next(root for _, root, _ in find_tied(model))
        root = find_root(model, tied)
        found = replace(found, sharding=plan_run(find_graph(root), root, facts, units))
    report = next(report_distances(root) for _, root, _ in find_tied(model)) if values else None
    run = forecast_run(model, made.trainer_options, facts)
    print(render(found, cast("Format", chosen or "text"), explain=explain, report=report, run=run))
    return 0


def require_plan(model: LightningModule) -> Plan:
    """The plan by which a model was tied.

    Raises:
        ConfigError: it was not tied.
    """
    found = find_plan(model)
    if found is None:
        raise ConfigError("This run has no sharing spec. Write model.init_args.sharing, or give --sharing FILE.")
    return found


def render(
    found: Plan,
    chosen: Format,
    *,
    explain: bool,
    report: InitialReport | None = None,
    run: RunSavings | None = None,
) -> str:
    """The plan in one of the formats, pictures alone without what a run saves and the report of initial values."""
    if chosen == "json":
        content = {**found.to_dict(), "savings": report_savings(found).to_dict()}
        if run is not None:
            content["run"] = run.to_dict()
        if found.sharding is not None:
            content["sharding"] = found.sharding.to_dict()
        if report is not None:
            content["initial_values"] = report.to_dict()
        return json.dumps(content, indent=1, ensure_ascii=False)
    if chosen != "text":
        return found.graph.render(chosen)
    more = [str(part) for part in (found.sharding, report) if part is not None]
    parts = [found.graph.render("text"), str(run or report_savings(found)), *more]
    return "\n\n".join([*parts, explain_plan(found)] if explain else parts)
