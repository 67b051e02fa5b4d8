"""A checkpoint in; the numbers of its optimizer states follow the model's order, so that it resumes anywhere.

An optimizer numbers its parameters group by group, and loads them back by position. Lightning's loader for sharded
modules takes the number for the parameter's place in the model, which differs as soon as the optimizer has several
groups or the model a frozen parameter: the moments would go to other parameters.
"""

# pyright: reportUnknownMemberType=false
# Lightning and torch are typed in part only.

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from lightning_tying.tasks.watch.watched_module import WatchedModule


def number_by_model(module: WatchedModule, checkpoint: dict[str, Any]) -> None:
    """Renumber, in place of the old states, what a checkpoint holds of the optimizers of a module's trainer.

    The positions in each parameter group stay the optimizer's, by which torch loads them. States of a sharded
    checkpoint go by names and stay as they are.
    """
    states = cast("list[dict[str, Any]] | None", checkpoint.get("optimizer_states"))
    if not states or getattr(module, "_trainer", None) is None:
        return
    places = {id(parameter): place for place, parameter in enumerate(module.parameters())}
    optimizers = module.trainer.optimizers
    by_position = bool(module.trainer.strategy.lightning_restore_optimizer)  # else Lightning has numbered them itself
    if len(optimizers) == len(states):
        checkpoint["optimizer_states"] = [
            _renumber(
                state,
                [[places.get(id(each), -1) for each in group["params"]] for group in made.param_groups],
                by_position,
            )
            for state, made in zip(states, optimizers, strict=True)
        ]


def _renumber(state: dict[str, Any], held: list[list[int]], by_position: bool) -> dict[str, Any]:
    """One optimizer's state with the places that its parameters, group by group, have in the model."""
    saved = cast("list[dict[str, Any]]", state.get("param_groups") or [])
    before = [number for group in saved for number in group["params"]]
    after = [place for group in held for place in group]
    if [len(group["params"]) for group in saved] != [len(group) for group in held] or min(after, default=0) < 0:
        return state  # of parameters that are not the model's
    if any(type(number) is not int for number in before):
        return state  # by names
    renamed = dict(zip(before, after, strict=True)) if by_position else {}
    return {
        **state,
        "state": {renamed.get(number, number): value for number, value in state["state"].items()},
        "param_groups": [{**group, "params": places} for group, places in zip(saved, held, strict=True)],
    }
