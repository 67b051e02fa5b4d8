"""What a checkpoint says of sharing: a tied module and a checkpoint go in, the spec is written, or compared."""

# pyright: reportUnknownMemberType=false
# Lightning and torch are typed in part only.

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from torch import nn

from lightning_tying.checkpoints.saved_sharing import check_readable, check_spec, hash_spec, read_sharing_entry
from lightning_tying.errors import ConfigError
from lightning_tying.lowering.resolve import without_wrappers
from lightning_tying.lowering.state import find_tied
from lightning_tying.lowering.state_dicts.checkpoint import index_keys
from lightning_tying.parallel.sharding.sharded_state import add_aliases
from lightning_tying.spec.dumper import dump_spec
from lightning_tying.tasks.edits.resume import write_edits
from lightning_tying.tasks.kept_maps import MAPS_KEY, check_maps, read_maps, write_maps
from lightning_tying.tasks.optimizers.optimizer_numbers import number_by_model

if TYPE_CHECKING:
    from lightning_tying.tasks.watch.watched_module import WatchedModule

CHECKPOINT_KEY = "sharing"
_ADVICE = "Give the module the checkpoint's spec, or start from the weights alone with --init_from."


def write_content(module: WatchedModule, checkpoint: dict[str, Any]) -> None:
    """Put into a checkpoint of Lightning what the sharing needs: spec, maps, groups, and names that resume anywhere.

    Under `sharing` stand the canonical `spec` as text, its `version` and the sha256 `hash` of that text, the content
    of its `maps`, and `groups`: the other names of each shared parameter by the owner's, keys of `state_dict` both.
    `parameters` are the first names of all parameters in model order, by which strategies that shard number the states
    of an optimizer. A module that was edited while it trained has its `edits`, and the spec that the run began with,
    `origin`.

    Raises:
        ConflictError: the weights have different values for what is one parameter.
    """
    weights = cast("dict[str, Any]", checkpoint.get("state_dict") or {})
    add_aliases(module, weights)
    number_by_model(module, checkpoint)
    spec = module.tied_spec
    if spec is not None:
        text = dump_spec(spec)
        checkpoint[CHECKPOINT_KEY] = {
            "spec": text,
            "version": spec.version,
            "hash": hash_spec(text),
            MAPS_KEY: write_maps(module.tied_maps),
            "groups": name_groups(module, weights),
            "parameters": [without_wrappers(name) for name, _ in module.named_parameters()],
            **write_edits(module),
        }


def check_content(module: WatchedModule, checkpoint: Mapping[str, Any]) -> None:
    """Compare a checkpoint's spec with the module's; a checkpoint without one is of a plain module, and fits any.

    Raises:
        ConfigError: they differ, or one of their maps does, so weights would be joined or parted without notice; or
            the checkpoint's is damaged, or of a newer version.
    """
    saved = read_sharing_entry(checkpoint)
    if not saved.spec:
        return
    check_readable(saved)
    spec = module.tied_spec
    mine = "" if spec is None else dump_spec(spec)
    if saved.hash != hash_spec(mine):
        try:
            check_spec(saved, mine, "this module")
        except ConfigError as error:
            raise ConfigError(f"{error}\n{_ADVICE}") from error
    if spec is not None:
        check_maps(read_maps(saved.maps or {}), module.tied_maps, spec.folder)


def name_groups(module: nn.Module, weights: Mapping[str, Any]) -> dict[str, list[str]]:
    """The places of every group by the keeper's, as keys of a state dict; those that it lacks by FQN.

    Args:
        module: a LightningModule with tied modules inside.
        weights: its state dict.
    """
    keys = index_keys(weights, "")
    groups: dict[str, list[str]] = {}
    for path, _, state in find_tied(module):
        prefix = f"{path}." if path else ""
        for group in state.plan.graph.groups:
            keeper, *others = [keys.get(prefix + place, prefix + place) for place in group.places]
            groups[keeper] = others
    return groups
