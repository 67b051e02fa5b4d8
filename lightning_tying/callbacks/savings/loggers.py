"""What sharing saves goes in; each logger gets it as numbers, and as a text where it can show one.

Loggers are known by what they offer: none of their packages is imported.
"""

from __future__ import annotations

from typing import Any, cast

from lightning.pytorch.loggers import Logger
from lightning_utilities.core.rank_zero import rank_zero_warn

from lightning_tying.reports.reckoning.run_savings import RunSavings

TAG = "tying/savings"


def list_values(run: RunSavings) -> dict[str, float]:
    """The numbers by the names under which they are logged; what is not known is left out."""
    gross, net = run.gross, run.net
    names = ["parameters", "trainable", "parameter_bytes", "gradient_bytes"]
    names += ["state_cells", "state_bytes", "checkpoint_bytes"] if run.optimizer is not None else []
    values = {f"tying/{name}": float(getattr(net, name)) for name in names}
    values |= {f"tying/{name}_untied": float(getattr(gross, name)) for name in names}
    sent_gross, sent_net = run.sent
    more = {
        "sent_bytes_per_step": sent_net,
        "sent_bytes_per_step_untied": sent_gross,
        f"forward_flops_per_{run.per_token.unit}": run.per_token.flops_net,
        "cache_bytes_per_token": run.per_token.cache_bytes,
        "peak_memory_bytes": run.peak_bytes,
        "saved": run.saved,
    }
    return values | {f"tying/{name}": float(value) for name, value in more.items() if value is not None}


def log_savings(logger: Logger, run: RunSavings, step: int) -> None:
    """Give numbers and table to one logger: text in TensorBoard and W&B, a file in MLflow, numbers alone elsewhere."""
    logger.log_metrics(list_values(run), step=step)
    log_text(logger, TAG, run.to_markdown(), step)


def log_hyperparameters(logger: Logger, run: RunSavings) -> None:
    """Put the numbers beside the run's hyperparameters; whole numbers as such.

    Once for each run, since MLflow refuses another value; after Lightning has logged the module's own, since
    TensorBoard's page of them shows the first.
    """
    values = {name: int(value) if value.is_integer() else value for name, value in list_values(run).items()}
    try:
        logger.log_hyperparams(values)
    except Exception as error:  # each logger has errors of its own; training does not need it
        rank_zero_warn(f"ParameterSavings: {type(logger).__name__} does not take what sharing saves: {error}")


def log_text(logger: Logger, tag: str, text: str, step: int) -> None:
    """Show a text, in Markdown, where the logger can.

    Args:
        logger: any; one that shows no texts gets none.
        tag: the text's name.
        text: in Markdown.
        step: of the optimizer.
    """
    anything = cast(Any, logger)
    experiment = cast(Any, getattr(anything, "experiment", None))
    if callable(getattr(experiment, "add_text", None)):  # TensorBoard and what is made like it
        experiment.add_text(tag, text, step)
    elif callable(getattr(anything, "log_text", None)):  # Weights & Biases: a table of one cell
        anything.log_text(key=tag, columns=["text"], data=[[text]], step=step)
    elif callable(getattr(experiment, "log_text", None)) and getattr(anything, "run_id", None):  # MLflow
        experiment.log_text(anything.run_id, text, f"{tag}.md")
