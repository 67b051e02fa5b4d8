"""The model of a run config: arguments go in, a module on the meta device, or a real one, comes out."""

# pyright: reportUnknownMemberType=false
# Lightning and jsonargparse are typed in part only.

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from jsonargparse import Namespace
from lightning.pytorch import LightningModule
from typing_extensions import override

from lightning_tying.commands.options import join_let
from lightning_tying.commands.run import with_clear_errors
from lightning_tying.commands.tying_cli import TyingCLI
from lightning_tying.tasks.parser_errors import explain_instantiation

CLIT = TypeVar("CLIT", bound="ModelOnlyCLI")


class ModelOnlyCLI(TyingCLI):
    """Parses like `fit` and makes the model alone, on the meta device; no data, no trainer, no run.

    Attributes:
        data_options: the `data` section, of which nothing is made.
        trainer_options: the `trainer` section, of which nothing is made either.
    """

    device = "meta"
    data_options: Namespace | None = None
    trainer_options: Namespace | None = None

    def __init__(self, args: list[str]) -> None:
        super().__init__(args=args, seed_everything_default=False)

    @staticmethod
    @override
    def subcommands() -> dict[str, set[str]]:
        """Only `fit`: preparing the other parsers would take as long again."""
        return {"fit": TyingCLI.subcommands()["fit"]}

    @override
    def _set_seed(self) -> None:
        """Draw nothing: tensors on the meta device have no values."""

    @override
    def before_instantiate_classes(self) -> None:
        """Leave out what would read files or take memory."""
        super().before_instantiate_classes()
        self.data_options = self.options.get("data")
        self.trainer_options = self.options.get("trainer")
        for name in ("data", "trainer"):
            self.options[name] = None
        self._leave_out_weights()

    def _leave_out_weights(self) -> None:
        self.options["init_from"] = None
        arguments = self.options["model"].get("init_args")
        if arguments is not None and "init_from" in arguments:
            arguments["init_from"] = None

    @override
    def instantiate_classes(self) -> None:
        """Make the model, and its network if that is lazy."""
        try:
            with torch.device(self.device):
                self.config_init = self.parser.instantiate_classes(self.config)
                self.model = self._get(self.config_init, "model")
                self.model.configure_model()
        except (ValueError, TypeError) as error:
            raise explain_instantiation(error) from error

    @override
    def _run_subcommand(self, subcommand: str) -> None:
        """Run nothing."""


class RealModelCLI(ModelOnlyCLI):
    """The same with values, on the CPU: seeded, and started from trained weights, as `fit` would."""

    device = "cpu"

    @override
    def _set_seed(self) -> None:
        TyingCLI._set_seed(self)

    @override
    def _leave_out_weights(self) -> None:
        """They are what the values are solved from."""


def make_real_model(words: list[str], more: Sequence[str] = ()) -> LightningModule:
    """Make the model of a run config on the CPU, tied and with its initial values.

    Args:
        words: the arguments of `fit`.
        more: options that the command has besides, for messages.

    Raises:
        ConfigError: the config is wrong, or its weights do not fit.
        SpecError: the sharing spec is wrong, or does not fit the model.
    """
    return make_model(RealModelCLI, words, more).model


def make_meta_model(words: list[str], more: Sequence[str] = ()) -> LightningModule:
    """Make the model of a run config on the meta device.

    Args:
        words: the arguments of `fit`.
        more: options that the command has besides, for messages.

    Raises:
        ConfigError: the config is wrong.
        SpecError: the sharing spec is wrong, or does not fit the model.
    """
    return make_model(ModelOnlyCLI, words, more).model


def make_model(kind: type[CLIT], words: list[str], more: Sequence[str]) -> CLIT:
    """Parse the arguments of `fit` and make the model alone, as `kind` does it.

    Raises:
        ConfigError: the config is wrong.
        SpecError: the sharing spec is wrong, or does not fit the model.
    """
    arguments = join_let(["fit", *words])

    def make() -> CLIT:
        return kind(arguments)

    return with_clear_errors(arguments, make, more)
