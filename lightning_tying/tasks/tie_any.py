"""Any LightningModule and a spec in; the module is tied, now or after its `configure_model`, and watched afterwards."""

# pyright: reportUnknownMemberType=false
# Lightning and torch are typed in part only.

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from lightning_tying.errors import ApplyError, ConfigError, SpecError
from lightning_tying.lowering.state_dicts.conflicts import ConflictPolicy
from lightning_tying.spec.dumper import spec_to_data
from lightning_tying.spec.schema import SharingSpec
from lightning_tying.tasks.kept_maps import MAPS_KEY
from lightning_tying.tasks.sharing_source import Sharing
from lightning_tying.tasks.tied_module import TiedModule
from lightning_tying.tasks.watch.checkpoint_content import CHECKPOINT_KEY
from lightning_tying.tasks.watch.watched_class import watch
from lightning_tying.tasks.watch.watched_module import WatchedModule


def tie_any(
    module: nn.Module,
    sharing: Sharing | SharingSpec | None,
    *,
    init_from: Path | str | None = None,
    on_conflict: ConflictPolicy = "error",
) -> None:
    """Tie a LightningModule that need not know of this package, in place, before a trainer has it.

    One that builds its layers in `configure_model` is tied there, after its own code has run. From now on it has the
    hooks of `TiedModule`: its ties and its optimizer are checked, its checkpoints hold the spec.

    Args:
        module: of `lightning.pytorch` or `pytorch_lightning`.
        sharing: a path, YAML text, a mapping or a spec; patterns are relative to the module, for a `TiedModule` to
            its network. None leaves its ties as they are.
        init_from: a checkpoint or state dict of the untied module, loaded before tying.
        on_conflict: what becomes of weights that have two values for one parameter, as for `tie`.

    Raises:
        SpecError: the spec is wrong, or does not fit a module whose layers are there. The module is as it was.
        ConfigError: a file is missing, or the weights do not fit.
        ApplyError: this is no LightningModule.
    """
    if not callable(getattr(module, "configure_model", None)):
        raise ApplyError(f"A LightningModule is expected, not {type(module).__name__}; for others there is `tie`.")
    if isinstance(module, TiedModule):
        module.tie_again(sharing, init_from, on_conflict)
        return
    kind, kept = type(module), dict(vars(module))
    watched = watch(module)
    try:
        watched.start_watch(sharing, init_from, on_conflict)
        _tie_what_is_there(watched, lazy=is_lazy(module))
    except BaseException:
        _take_back(module, kind, kept)
        raise


def load_tied(module: nn.Module, path: Path | str) -> None:
    """Load a checkpoint into a LightningModule that is not tied yet: it is tied by the checkpoint's own spec first.

    Args:
        module: as the class made it, `MyModule(width=8)`.
        path: of a checkpoint of a module that was tied by `tie_any` or `--sharing`; only plain content is read.

    Raises:
        ConfigError: there is no such checkpoint, or it holds no spec, or more than plain content.
        SpecError: its spec does not fit the module.
    """
    try:
        checkpoint = cast("dict[str, Any]", torch.load(path, map_location="cpu", weights_only=True))
    except FileNotFoundError as error:
        raise ConfigError(f"The checkpoint {path} does not exist.") from error
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise ConfigError(f"{path} cannot be read as a checkpoint of plain content.") from error
    saved = cast("dict[str, Any]", checkpoint.get(CHECKPOINT_KEY) or {})
    if "spec" not in saved:
        raise ConfigError(f"The checkpoint {path} holds no sharing spec; load it with `load_from_checkpoint`.")
    content: dict[str, Any] = dict(spec_to_data(SharingSpec.draft(str(saved["spec"]))))
    tie_any(module, {**content, MAPS_KEY: saved[MAPS_KEY]} if saved.get(MAPS_KEY) else content)
    lightning_module: Any = module
    lightning_module.configure_model()
    lightning_module.on_load_checkpoint(checkpoint)
    module.load_state_dict(checkpoint["state_dict"])


def is_lazy(module: nn.Module) -> bool:
    """Whether a LightningModule has a `configure_model` of its own, which may build layers."""
    for kind in type(module).__mro__:
        if "configure_model" in vars(kind) and kind is not WatchedModule:
            return kind.__module__.split(".")[0] not in ("lightning", "pytorch_lightning")
    return False


def _tie_what_is_there(module: WatchedModule, *, lazy: bool) -> None:
    """Tie now, unless layers are still to come: then what the spec does not find may be among them."""
    if lazy and next(module.parameters(), None) is None:
        if module.tied_spec is not None and module.tied_spec.problems:
            raise SpecError(module.tied_spec.problems)
        return
    try:
        module.tie_now()
    except (SpecError, ConfigError):
        if not lazy or (module.tied_spec is not None and module.tied_spec.problems):
            raise


def _take_back(module: nn.Module, kind: type, kept: dict[str, Any]) -> None:
    object.__setattr__(module, "__class__", kind)
    vars(module).clear()
    vars(module).update(kept)
