"""A checkpoint of a module that was edited while it trained in; the module as the run began is edited like it out."""

# pyright: reportUnknownMemberType=false
# Lightning is typed in part only.

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from lightning_tying.algebra.expression import FileMap
from lightning_tying.algebra.maps.kept_maps import use_maps
from lightning_tying.api import tie
from lightning_tying.checkpoints.saved_sharing import SHARING, check_readable, hash_spec, is_same, read_sharing_entry
from lightning_tying.errors import ConfigError, SharingWarning
from lightning_tying.lowering.edits.record import EditRecord, read_records
from lightning_tying.lowering.initial.whitening import weights_follow
from lightning_tying.lowering.undo import untie_module
from lightning_tying.spec.dumper import dump_spec
from lightning_tying.spec.schema import SharingSpec
from lightning_tying.tasks.edits.averages import find_averages
from lightning_tying.tasks.kept_maps import read_maps

if TYPE_CHECKING:
    from lightning_tying.tasks.watch.watched_module import WatchedModule

EDITS, ORIGIN = "edits", "origin"


def write_edits(module: WatchedModule) -> dict[str, Any]:
    """What a checkpoint's `sharing` has besides the spec: the edits, and the spec that the run began with."""
    if not module.tied_edits:
        return {}
    return {EDITS: [record.to_dict() for record in module.tied_edits], ORIGIN: module.tied_origin}


def resume_edits(module: WatchedModule, checkpoint: Mapping[str, Any]) -> None:
    """Give a module the sharing of a checkpoint that began with the module's; before its weights are loaded.

    A module that has another spec than the run began with stays as it is, and is refused as any other.

    Args:
        module: on its way to load the checkpoint; its averaged copies follow.
        checkpoint: of Lightning.

    Raises:
        ConfigError: the entry is damaged, or the strategy has divided the module already.
    """
    saved = read_sharing_entry(checkpoint)
    entry = cast("Mapping[str, Any]", checkpoint.get(SHARING) or {})
    if not entry.get(EDITS):
        return
    records, origin = read_records(entry[EDITS]), str(entry.get(ORIGIN, ""))
    mine = "" if module.tied_spec is None else dump_spec(module.tied_spec)
    if saved.hash == hash_spec(mine):
        module.remember_tied_edits(records, origin)
        return
    if not is_same(origin, mine):
        return
    check_readable(saved)
    trainer = getattr(module, "_trainer", None)
    refuse_late(trainer)
    for each in (module, *find_averages(trainer)):
        _rebuild(cast("WatchedModule", each), saved.spec, read_maps(saved.maps or {}), records, origin)


def refuse_late(trainer: Any) -> None:
    """Refuse strategies that load a checkpoint when parameters are divided and optimizers made.

    Raises:
        ConfigError: saying what to do.
    """
    strategy = getattr(trainer, "strategy", None)
    if strategy is not None and bool(strategy.restore_checkpoint_after_setup):
        raise ConfigError(
            f"The sharing of this checkpoint was edited while it trained, and {type(strategy).__name__} loads when the "
            "module is divided already. Give the module the checkpoint's spec, which `lightning-tying checkpoint "
            "inspect` shows, in place of the one that the run began with."
        )


def match_states(module: WatchedModule, states: Sequence[dict[str, Any]]) -> None:
    """Bring saved optimizer states into the order in which this run's optimizers hold their parameters.

    An edit may have put parameters at another place than a new optimizer has them; torch loads by position. The
    numbers in the checkpoint are places in the model, so that both orders can be compared.

    Args:
        module: with its optimizers made and not loaded yet.
        states: of the checkpoint that will be loaded; they are changed.

    Raises:
        ConfigError: the optimizers have their parameters in other groups.
    """
    places = {id(parameter): place for place, parameter in enumerate(module.parameters())}
    optimizers = module.trainer.optimizers
    if len(states) != len(optimizers):
        return  # Lightning says so
    for state, optimizer in zip(states, optimizers, strict=True):
        for saved, group in zip(state["param_groups"], optimizer.param_groups, strict=False):
            held = [places.get(id(each), -1) for each in group["params"]]
            if sorted(held) == sorted(saved["params"]):
                saved["params"] = held
            elif len(held) == len(saved["params"]):
                raise ConfigError(
                    "The optimizer of this run has its parameters in other groups than the checkpoint's had after its "
                    "sharing was edited. `configure_optimizers` must sort by what an edit does not change, as policies."
                )


def _rebuild(
    module: WatchedModule, text: str, maps: Mapping[str, FileMap], records: tuple[EditRecord, ...], origin: str
) -> None:
    spec = SharingSpec.load(text)
    network = module.tied_network
    with use_maps(maps), weights_follow(True), warnings.catch_warnings():
        warnings.simplefilter("ignore", SharingWarning)  # of initial values, which the checkpoint's replace
        untie_module(network)
        tie(network, spec, on_conflict=module.tied_policy)
    module.adopt_tied_spec(spec)
    module.remember_tied_edits(records, origin)
