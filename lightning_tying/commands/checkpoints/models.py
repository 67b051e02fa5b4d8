"""The arguments of a run go in; its model, without its spec, then tied by any spec, comes out: real, on the CPU."""

# pyright: reportUnknownMemberType=false
# Lightning and torch are typed in part only.

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import torch
import yaml
from lightning.pytorch import LightningModule
from torch.optim import Optimizer
from typing_extensions import override

from lightning_tying.checkpoints.read import STATE
from lightning_tying.checkpoints.saved_sharing import SavedSharing
from lightning_tying.commands.meta_model import ModelOnlyCLI, make_model
from lightning_tying.commands.run import find_configs
from lightning_tying.errors import ConfigError, SharingWarning, TyingError
from lightning_tying.lowering.state import find_tied
from lightning_tying.tasks.kept_maps import MAPS_KEY
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


def tie_copy(model: LightningModule, sharing: Sharing | None) -> LightningModule:
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


def saved_source(saved: SavedSharing) -> dict[str, Any] | None:
    """A checkpoint's spec with its maps, as `tie_network` takes it; None for none."""
    if not saved.spec:
        return None
    content = cast("dict[str, Any]", yaml.safe_load(saved.spec))
    return {**content, MAPS_KEY: dict(saved.maps)} if saved.maps else content


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
