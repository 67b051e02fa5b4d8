"""A trainer's strategy in; it looks at a checkpoint before it loads one, and refuses with one error what cannot work.

Some strategies load weights before a LightningModule sees the checkpoint: a spec that differs would show as missing
keys, and Lightning's loader for sharded modules reads every name of a shared tensor by itself, the last one winning.
"""

# pyright: reportUnknownMemberType=false
# Lightning and torch are typed in part only.

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from lightning_tying.checkpoints.sharded_folder import check_folder, read_metadata
from lightning_tying.errors import ConfigError
from lightning_tying.lowering.draw_into import write_value
from lightning_tying.lowering.resolve import find_slots, without_wrappers
from lightning_tying.lowering.state import find_tied
from lightning_tying.lowering.state_dicts.checkpoint import check_conflicts, fill_aliases, index_keys
from lightning_tying.lowering.state_dicts.conflicts import find_conflicts
from lightning_tying.tasks.edits.resume import resume_edits
from lightning_tying.tasks.watch.checkpoint_content import check_content

if TYPE_CHECKING:
    from lightning_tying.tasks.watch.watched_module import WatchedModule

METADATA = "meta.pt"  # what Lightning calls the part of a sharded checkpoint that is no tensor


def watch_strategy(module: WatchedModule) -> None:
    """Let the strategy of a module's trainer look at a checkpoint first; without a trainer nothing happens.

    The strategy's own method stays in its class: this one stands before it on the instance.
    """
    trainer = getattr(module, "_trainer", None)
    if trainer is not None and not isinstance(vars(trainer.strategy).get("load_checkpoint"), partial):
        trainer.strategy.load_checkpoint = partial(load_checked, trainer.strategy)


def load_checked(strategy: Any, checkpoint_path: str | Path, *arguments: Any, **options: Any) -> dict[str, Any]:
    """`Strategy.load_checkpoint`, after a look at the file.

    Args:
        strategy: of Lightning, with a tied LightningModule.
        checkpoint_path: of a file, or of a folder with a sharded checkpoint.
        arguments: as for the strategy's own method.
        options: as for the strategy's own method.

    Raises:
        ConfigError: the spec differs, weights are missing, or a folder is given to a strategy that reads files.
        ConflictError: the weights have two values for one parameter, and the policy does not settle it.
    """
    module = strategy.lightning_module
    own = cast("Callable[..., dict[str, Any]]", type(strategy).load_checkpoint)
    load = partial(own, strategy, checkpoint_path, *arguments, **options)
    path = Path(checkpoint_path)
    if not hasattr(module, "tied_spec") or not path.exists():  # a remote file; or no module of ours
        return load()
    loads_late = bool(strategy.restore_checkpoint_after_setup)
    content = _peek(path, reads_folders=loads_late, trusted=_is_trusted(arguments, options))
    if not loads_late or content is None:
        return load()
    resume_edits(module, content)
    check_content(module, content)
    if path.is_dir():
        _refuse_several(module, path)
    weights = cast("Mapping[str, Any] | None", content.get("state_dict"))
    return load() if weights is None else _load_full(module, weights, load)


def _refuse_several(module: nn.Module, folder: Path) -> None:
    """Refuse a sharded checkpoint with several tensors for one parameter; its loader would read the keeper's alone."""
    words = ("state_dict.", "model.")
    keys = [str(key) for key in read_metadata(folder).state_dict_metadata]
    word = next((each for each in words if any(key.startswith(each) for key in keys)), "")
    names = {without_wrappers(key[len(word) :]) for key in keys if key.startswith(word)}
    for path, _, state in find_tied(module):
        prefix = f"{path}." if path else ""
        for group in state.plan.graph.groups:
            held = [prefix + place for place in group.places if prefix + place in names]
            if len(held) > 1:
                raise ConfigError(
                    f"{folder} holds a tensor for each of {', '.join(held[:3])}{', …' if held[3:] else ''}, which are "
                    f"one parameter here: it comes from a model without these ties. Make one file of it, of which "
                    f"`on_conflict` says which value counts: lightning-tying checkpoint consolidate {folder}"
                )


def _is_trusted(arguments: Sequence[Any], options: Mapping[str, Any]) -> bool:
    """Whether the user said `weights_only=False`."""
    return options.get("weights_only", arguments[0] if arguments else None) is False


def _peek(path: Path, *, reads_folders: bool, trusted: bool) -> Mapping[str, Any] | None:
    """What a checkpoint holds, tensors mapped and not read; None for one with more than plain content."""
    if path.is_dir():
        if not reads_folders:
            raise ConfigError(
                f"{path} is a folder with a sharded checkpoint, which this run's strategy cannot read. Resume with the "
                f"strategy that wrote it, or make one file of it: lightning-tying checkpoint consolidate {path}."
            )
        if not trusted:
            check_folder(path)
        path = path / METADATA
        if not path.is_file():
            raise ConfigError(f"{path.parent} is no sharded checkpoint of Lightning: it has no {METADATA}.")
    try:
        content: object = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError):  # Lightning says what is wrong with it
        return None
    return cast("Mapping[str, Any]", content) if isinstance(content, Mapping) else None


def _load_full(module: Any, weights: Mapping[str, Any], load: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Load a file with whole tensors into a sharded module; names are filled here, and conflicts settled.

    Lightning's loader takes the tensors name by name, so that no load hook sees them together.
    """
    check_conflicts(module, weights)
    filled, settled = dict(weights), _find_settled(module, weights)
    for path, _, state in find_tied(module):
        fill_aliases(filled, state.plan, f"{path}." if path else "", on_conflict=state.on_conflict)
    strict = module.strict_loading
    if strict:
        asked, there = _asked_names(module), index_keys(weights, "").keys()
        missing = sorted(asked - index_keys(filled, "").keys())
        if missing:
            raise ConfigError(f"The checkpoint lacks {', '.join(missing[:5])}{', …' if missing[5:] else ''}.")
        module.strict_loading = asked <= there  # else only aliases are missing, and their tensors are there
    try:
        loaded = load()
    finally:
        module.strict_loading = strict
    for key, parameter in settled:
        write_value(parameter, filled[key])
    return loaded


def _find_settled(module: nn.Module, weights: Mapping[str, Any]) -> list[tuple[str, nn.Parameter]]:
    """The parameters that a file has several values for, each with the keeper's name."""
    found: list[tuple[str, nn.Parameter]] = []
    for path, root, state in find_tied(module):
        prefix = f"{path}." if path else ""
        keepers = [each.group.keeper for each in find_conflicts(weights, index_keys(weights, prefix), state.plan)]
        slots = find_slots(root, keepers)
        found += [(prefix + keeper, slots[keeper].read()) for keeper in keepers]
    return found


def _asked_names(module: nn.Module) -> set[str]:
    """Every name under which Lightning's loader asks for a tensor, aliases and buffers included."""
    names = [name for name, _ in module.named_parameters(remove_duplicate=False)]
    return {without_wrappers(name) for name in (*names, *module.state_dict())}
