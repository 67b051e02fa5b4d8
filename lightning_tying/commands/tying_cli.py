"""`TyingCLI`: LightningCLI with the settings under which ties hold, and with a run folder that has everything."""

# pyright: reportUnknownMemberType=false
# Lightning and jsonargparse are typed in part only.

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

from jsonargparse import Namespace
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from torch import nn
from typing_extensions import override

from lightning_tying.commands.checkpoint_file import check_checkpoint
from lightning_tying.commands.newest_checkpoint import NEWEST, find_newest
from lightning_tying.commands.predictions import print_predictions
from lightning_tying.commands.run_defaults import (
    add_defaults,
    find_best,
    find_checkpoint_folders,
    find_run_folder,
)
from lightning_tying.errors import ConfigError
from lightning_tying.graph.map_files_of_graph import find_maps
from lightning_tying.lowering.state import find_tied
from lightning_tying.lowering.state_dicts.conflicts import ConflictPolicy
from lightning_tying.parallel.tensor.styles import ATTRIBUTE
from lightning_tying.tasks.build import check_vocab_size, link_vocabulary, restore_vocab_size
from lightning_tying.tasks.sharing_source import SharingSource
from lightning_tying.tasks.tie_any import tie_any
from lightning_tying.tasks.watch.check_vocabularies import ATTRIBUTE as VOCABULARY_SITES
from lightning_tying.tasks.watch.parallelize import set_units


class SaveRunConfig(SaveConfigCallback):
    """Writes the whole config of a training to `config.yaml` in the run folder."""

    @override
    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write it; other stages leave the training's file alone."""
        if stage == "fit":
            folder = Path(trainer.default_root_dir)
            folder.mkdir(parents=True, exist_ok=True)
            config = keep_maps(self.config, pl_module)
            config["ckpt_path"] = None  # where this training went on from; measuring it is to take what it came to
            self.parser.save(config, str(folder / self.config_filename), skip_unset=False, overwrite=True)


def keep_maps(config: Namespace, module: nn.Module) -> Namespace:
    """Put the maps of a module's plan beside the spec of its config: their paths do not lead there from another folder.

    Args:
        config: as the parser read it; stays as it is.
        module: the model that was made of it.
    """
    maps = {path: each for _, _, state in find_tied(module) for path, each in find_maps(state.plan.graph).items()}
    kept = config.clone()
    for key in ("sharing", "model.init_args.sharing"):
        source = kept.get(key)
        if maps and isinstance(source, SharingSource):
            kept[key] = source.with_maps(maps)
    return kept


class TyingCLI(LightningCLI):
    """LightningCLI for tied modules: subclass mode, optimizers made by the module, a run folder with everything.

    Takes all arguments of LightningCLI. `auto_configure_optimizers` is False: LightningCLI would make the optimizer
    before a lazy network is built and tied.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        strict = {"default_env": True, "exit_on_error": False}
        given = cast("dict[str, Any]", kwargs.pop("parser_kwargs", None) or {})
        kwargs["parser_kwargs"] = {**strict, **{name: dict(strict) for name in self.subcommands()}, **given}
        kwargs.setdefault("auto_configure_optimizers", False)
        kwargs.setdefault("save_config_callback", SaveRunConfig)
        kwargs.setdefault("save_config_kwargs", {"overwrite": True, "save_to_log_dir": False})
        super().__init__(*args, **kwargs)

    @override
    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add this package's options."""
        link_vocabulary(parser)
        parser.add_argument("--sharing", type=SharingSource | None, default=None, help="A sharing spec for the model.")
        parser.add_argument("--let", type=dict[str, Any] | None, default=None, help="Values of the spec's `let`.")
        parser.add_argument("--init_from", type=str | None, default=None, help="Trained untied weights to start from.")
        parser.add_argument(
            "--on_conflict",
            type=ConflictPolicy,
            default="error",
            help="What becomes of weights with two values for one shared parameter.",
        )
        parser.add_argument(
            "--tensor_parallel",
            type=dict[str, str] | None,
            default=None,
            help="Module patterns and their styles, for a network without a plan for tensor parallel.",
        )
        parser.add_argument(
            "--vocabulary_sites",
            type=dict[str, str] | None,
            default=None,
            help="Which vocabulary numbers the rows of which sites: patterns and the names of vocabularies.",
        )
        parser.add_argument(
            "--units", type=str | None, default=None, help="A file of the units that FSDP2 gathers together."
        )
        parser.add_argument(
            "--parameter_savings", type=bool, default=True, help="Whether to report at fit start what sharing saves."
        )

    @override
    def _parse_ckpt_path(self) -> None:
        """Let the config decide, not the checkpoint's hparams: a resumed run may change its learning rate.

        Sharing and vocabulary of the checkpoint are compared with the module's when it is loaded.
        """
        path = self.options.get("ckpt_path")
        if path and path not in (*NEWEST, "best", "hpc") and "://" not in path:
            check_checkpoint(Path(path), trusted=self.options.get("weights_only") is False)

    @override
    def _dump_config(self) -> None:
        """Complete what becomes the module's hparams."""
        fresh = not hasattr(self, "config_dump")
        super()._dump_config()
        if fresh:
            restore_vocab_size(self.config_dump["model"], self.options["model"])

    @property
    def options(self) -> dict[str, Any]:
        """The parsed options of the command that runs."""
        name = self.config.get("subcommand")
        return cast("dict[str, Any]", self.config[name] if name else self.config)

    @override
    def before_instantiate_classes(self) -> None:
        """Hand `--sharing` and `--init_from` to a task that has such arguments."""
        check_vocab_size(self.options["model"])
        arguments = self.options["model"].get("init_args")
        for name in ("sharing", "init_from"):
            value = self.options.get(name)
            if value is not None and arguments is not None and name in arguments:
                arguments[name] = value
                self.options[name] = None
        self._replace_let()

    def _replace_let(self) -> None:
        let = self.options.get("let")
        if not let:
            return
        holders = (self.options, self.options["model"].get("init_args"))
        for holder in (each for each in holders if each is not None):
            source = holder.get("sharing")
            if isinstance(source, SharingSource):
                holder["sharing"] = source.with_let(let)
                self.options["let"] = None  # the spec has its values now, and so has a config that is saved
                return
        raise ConfigError("--let replaces values of a sharing spec, and this run has none.")

    @override
    def after_instantiate_classes(self) -> None:
        """Load and tie a module that has no such arguments, eager or lazy."""
        if self.options.get("tensor_parallel") is not None:
            setattr(self.model, ATTRIBUTE, self.options["tensor_parallel"])
        if self.options.get("vocabulary_sites") is not None:
            setattr(self.model, VOCABULARY_SITES, self.options["vocabulary_sites"])
        weights, sharing = self.options.get("init_from"), self.options.get("sharing")
        policy = cast(ConflictPolicy, self.options.get("on_conflict") or "error")
        if weights is not None or sharing is not None or policy != "error":
            tie_any(self.model, sharing, init_from=weights, on_conflict=policy)
        if self.options.get("units") is not None:
            set_units(self.model, self.options["units"])

    @override
    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Make the trainer with a run folder, loggers, a progress bar, checkpoints and the savings table."""
        given = dict(cast("dict[str, Any]", self._get(self.config_init, "trainer", default={})))
        folder = find_run_folder(given.get("default_root_dir"), self.options.get("config"))
        savings = bool(self.options.get("parameter_savings", True))
        if self.subcommand == "predict" and given.get("logger") is None:
            given["logger"] = kwargs["logger"] = False  # there is nothing to log
        return super().instantiate_trainer(**add_defaults({**given, **kwargs}, folder, self.model, savings=savings))

    @override
    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        """Find the checkpoint: the newest of the run where that is asked, for measuring the run's best.

        A checkpoint may hold tensors and plain values alone, unless the user says `--weights_only false`.
        """
        kwargs = super()._prepare_subcommand_kwargs(subcommand)
        if kwargs.get("weights_only") is None:
            kwargs["weights_only"] = True
        if kwargs.get("ckpt_path") in NEWEST:
            kwargs["ckpt_path"] = find_newest(find_checkpoint_folders(self.trainer))
        elif subcommand != "fit" and kwargs.get("ckpt_path") is None and self.options.get("init_from") is None:
            kwargs["ckpt_path"] = found = find_best(Path(self.trainer.default_root_dir))
            if found is not None:
                check_checkpoint(found, trusted=kwargs["weights_only"] is False)
            said = kwargs["ckpt_path"] or "none, so the network is as it was initialized"
            print(f"checkpoint: {said}", file=sys.stderr)
        return kwargs

    def predict(self, **kwargs: Any) -> None:
        """Predict, and print what was predicted."""
        print_predictions(self.trainer.predict(**kwargs) or [])
