"""The arguments of a run go in; its model, without its spec, then tied by any spec, comes out: real, on the CPU."""

# pyright: reportUnknownMemberType=false
# Lightning and torch are typed in part only.

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule
from torch.optim import Optimizer
from typing_extensions import override

from lightning_tying.algebra.imports import imported_only
from lightning_tying.checkpoints.read import STATE
from lightning_tying.checkpoints.saved_sharing import SavedSharing, check_readable
from lightning_tying.commands.meta_model import ModelOnlyCLI, make_model
from lightning_tying.commands.run import find_configs
from lightning_tying.errors import ConfigError, SharingWarning, SpecError, TyingError
from lightning_tying.lowering.state import find_tied
from lightning_tying.spec.dumper import dump_spec
from lightning_tying.spec.schema import SharingSpec
from lightning_tying.tasks.kept_maps import read_maps
from lightning_tying.tasks.optimizers.optimization import make_optimizer
from lightning_tying.tasks.sharing_source import Sharing, SharingSource
from lightning_tying.tasks.task import Task
from lightning_tying.tasks.tie_any import tie_any
from lightning_tying.tasks.tied_module import TiedModule

SEED = 0  # of what a spec draws; what is trained is overwritten


class UntiedModelCLI(ModelOnlyCLI):
    """Makes the model of a run config on the CPU and leaves its sharing spec aside."""

    device = "cpu"
    sharing: SharingSource | None = None

    @override
    def before_instantiate_classes(self) -> None:
        """Keep the spec, and make the model without it."""
        super().before_instantiate_classes()
        arguments = self.options["model"].get("init_args")
        for holder in (self.options, arguments):
            if holder is not None and holder.get("sharing") is not None:
                self.sharing = holder["sharing"]
                holder["sharing"] = None


def make_untied(words: Sequence[str], more: Sequence[str] = ()) -> tuple[LightningModule, SharingSource | None]:
    """Make the model of a run config without its spec.

    Args:
        words: the arguments of `fit`.
        more: options that the command has besides, for messages.

    Returns:
        The model with whatever its own code ties, and the spec of the config.

    Raises:
        ConfigError: the config is wrong.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        made = make_model(UntiedModelCLI, list(words), more)
    return made.model, made.sharing


def tie_copy(model: LightningModule, sharing: Sharing | SharingSpec | None) -> LightningModule:
    """A copy of an untied model, tied by a spec.

    Raises:
        SpecError: the spec is wrong, or does not fit the model.
        ConfigError: a file that it names is missing.
    """
    copied = deepcopy(model)
    if sharing is None:
        return copied
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", SharingWarning)  # `plan` and `fit` tell them
        torch.manual_seed(SEED)
        if isinstance(copied, TiedModule):
            copied.tie_network(sharing)
        else:
            tie_any(copied, sharing)
            if not any(find_tied(copied)):  # a lazy module says what does not fit when it builds
                copied.configure_model()
    return copied


def load_state(model: LightningModule, state: Mapping[str, Any], what: str) -> None:
    """Load a state dict into a model, strictly.

    Args:
        model: tied or not.
        state: by names of the LightningModule.
        what: where the state comes from, for messages.

    Raises:
        ConfigError: names or shapes do not fit.
        ConflictError: two names of one shared parameter have different values.
    """
    try:
        model.load_state_dict(dict(state), strict=True)
    except TyingError:
        raise
    except (RuntimeError, KeyError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        shown = "\n".join(lines[1:4]) if len(lines) > 1 else str(error)
        raise ConfigError(f"The weights of {what} do not fit the model of the config:\n{shown}") from error


def load_checkpoint(model: LightningModule, checkpoint: Mapping[str, Any], path: Path) -> None:
    """Load the weights of a checkpoint into a model that is tied as the checkpoint's was.

    Raises:
        ConfigError: they do not fit.
    """
    load_state(model, checkpoint[STATE], str(path))


def find_optimizers(model: LightningModule) -> list[Optimizer]:
    """What `configure_optimizers` makes for a model, without a trainer.

    Raises:
        ConfigError: it cannot be made so.
    """
    if isinstance(model, Task):
        return [make_optimizer(model, model.make_optimizer)]
    try:
        made = cast("object", model.configure_optimizers())
    except TyingError:
        raise
    except Exception as error:  # a user's method, which may ask the trainer
        raise ConfigError(
            f"{type(model).__name__}.configure_optimizers cannot be called without a trainer ({error}), so the "
            "optimizer's state cannot be migrated. Leave it out with --weights-only."
        ) from error
    return list(_find(made))


def tie_saved(model: LightningModule, saved: SavedSharing, trusted: Sequence[SharingSpec | None]) -> LightningModule:
    """A copy of an untied model, tied by the spec that a checkpoint holds.

    Args:
        model: of the run config.
        saved: of the checkpoint: it may come from a stranger, and then imports no module that its spec names.
        trusted: what the user gave; the same spec there is the user's own.

    Raises:
        ConfigError: the checkpoint's entry is damaged, or of a newer version.
        SpecError: its spec is wrong, does not fit the model, or names a module that is not imported.
    """
    if not saved.spec:
        return tie_copy(model, None)
    check_readable(saved)
    spec = SharingSpec.draft(saved.spec)
    if spec.problems:
        raise SpecError(spec.problems)
    own = any(each is not None and not each.problems and dump_spec(each) == saved.spec for each in trusted)
    with nullcontext() if own else imported_only():
        source = SharingSource(saved.spec, replace(spec, folder=Path.cwd()), maps=read_maps(saved.maps or {}) or None)
        return tie_copy(model, source)


def with_config(words: Sequence[str], checkpoint: Path) -> list[str]:
    """The arguments of the run that wrote a checkpoint: with `--config`, or with the `config.yaml` beside it.

    Raises:
        ConfigError: there is neither.
    """
    given = list(words)
    if find_configs(given):
        return given
    beside = checkpoint.absolute().parent / "config.yaml"
    if not beside.is_file():
        raise ConfigError(
            f"The model of {checkpoint} is needed, and there is no config.yaml beside it. Name its run config: "
            "--config RUN.yaml."
        )
    return ["--config", str(beside), *given]


def _find(made: object) -> list[Optimizer]:
    if isinstance(made, Optimizer):
        return [made]
    if isinstance(made, Mapping):
        return _find(cast("Mapping[str, object]", made).get("optimizer"))
    if isinstance(made, list | tuple):
        return [optimizer for each in cast("Sequence[object]", made) for optimizer in _find(each)]
    return []
