"""`fit`, `validate`, `test`, `predict`: arguments go in, a run and its exit status come out."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from jsonargparse import ArgumentError
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from typing_extensions import override

from lightning_tying.callbacks.save_on_interrupt import SaveOnInterrupt
from lightning_tying.commands.options import join_let
from lightning_tying.commands.quiet import only_what_tells
from lightning_tying.commands.run_folder import find_new, remove_new
from lightning_tying.commands.tying_cli import TyingCLI
from lightning_tying.errors import ConfigError, TyingError
from lightning_tying.tasks.build import read_config
from lightning_tying.tasks.parser_errors import explain_instantiation, explain_parser_error
from lightning_tying.tasks.sharing_source import started_here

Result = TypeVar("Result")
INTERRUPTED = 130


class Interrupted(Exception):
    """Ctrl-C stopped a run; `saved` is the checkpoint from which it can go on."""

    def __init__(self, saved: Path | None) -> None:
        super().__init__("interrupted")
        self.saved = saved


class RunCLI(TyingCLI):
    """TyingCLI as a program: refuses bad input by our own errors, and tells an interrupt from an exit."""

    @override
    def instantiate_classes(self) -> None:
        """Make model, data and trainer; what they say of their arguments is bad input."""
        try:
            super().instantiate_classes()
        except (ValueError, TypeError) as error:
            raise explain_instantiation(error) from error

    @override
    def _run_subcommand(self, subcommand: str) -> None:
        """Run, and tell an interrupt from an exit; a run that is refused leaves no folder."""
        folder = Path(self.trainer.default_root_dir)
        new = find_new(folder)
        try:
            super()._run_subcommand(subcommand)
        except SystemExit as error:
            self._forget(new)
            if self.trainer.interrupted:
                raise Interrupted(_find_saved(self.trainer)) from error
            raise
        except OSError as error:
            self._forget(new)
            if error.filename and Path(os.path.abspath(error.filename)).is_relative_to(os.path.abspath(folder)):
                raise ConfigError(
                    f"The run folder {folder} cannot be written: {error.strerror} (trainer.default_root_dir)."
                ) from error
            raise
        except TyingError:
            self._forget(new)
            raise

    def _forget(self, new: list[Path]) -> None:
        if self.trainer.global_step == 0 and self.trainer.is_global_zero:
            remove_new(new)


def run(words: list[str]) -> int:
    """Run a command of LightningCLI.

    Args:
        words: the command and its arguments.

    Returns:
        The exit status.

    Raises:
        ConfigError: the config or an argument is wrong.
        SpecError: the sharing spec is wrong.
    """
    try:
        joined = join_let(words)
        with_clear_errors(joined, lambda: RunCLI(args=joined))
    except Interrupted as interrupted:
        print_resume(words, interrupted.saved)
        return INTERRUPTED
    return 0


def with_clear_errors(words: list[str], call: Callable[[], Result], more: Sequence[str] = ()) -> Result:
    """Call something that parses `words`; what the parser and Lightning say of them becomes a `ConfigError`.

    Args:
        words: the command of Lightning's and its arguments.
        call: what to call.
        more: options that the command has besides, for messages.
    """
    files = find_configs(words)
    for file in files:
        read_config(file)
    try:
        with started_here(), only_what_tells():
            return call()
    except ArgumentError as error:
        raise ConfigError(explain_parser_error(error, files, [*known_keys(words[0]), *more])) from error
    except MisconfigurationException as error:
        raise ConfigError(str(error)) from error


def find_configs(words: list[str]) -> list[Path]:
    """The files that `--config` and `-c` name."""
    found: list[Path] = []
    for place, word in enumerate(words):
        if word in ("--config", "-c") and place + 1 < len(words):
            found.append(Path(words[place + 1]))
        elif word.startswith("--config="):
            found.append(Path(word.partition("=")[2]))
    return found


def known_keys(command: str) -> list[str]:
    """All keys that a command's config may have, as far as they do not depend on a class."""
    import inspect  # only for messages

    trainer = [f"trainer.{name}" for name in inspect.signature(Trainer).parameters]
    own = ["config", "seed_everything", "model", "data", "trainer", "sharing", "let", "init_from"]
    own += ["on_conflict", "units", "tensor_parallel", "parameter_savings"]
    method = [name for name in inspect.signature(getattr(Trainer, command)).parameters if name != "self"]
    skipped = {"model", "datamodule", "dataloaders", "train_dataloaders", "val_dataloaders"}
    return [*own, *(name for name in method if name not in skipped), *trainer]


def print_resume(words: list[str], saved: Path | None) -> None:
    """Print the exact line that goes on from where the run was stopped."""
    if saved is None:
        said = (
            "Interrupted; nothing was saved of this moment. `--ckpt_path last` goes on from what was saved before."
            if words[0] == "fit"
            else "Interrupted."
        )
        print(said, file=sys.stderr)
        return
    kept: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word == "--ckpt_path":
            skip = True
        elif not word.startswith("--ckpt_path="):
            kept.append(word)
    line = shlex.join(["lightning-tying", *kept, "--ckpt_path", str(saved)])
    print(f"Interrupted; everything up to here is in {saved}. Go on with:\n{line}", file=sys.stderr)


def _find_saved(trainer: Trainer) -> Path | None:
    callbacks: list[object] = getattr(trainer, "callbacks", [])
    return next((callback.saved for callback in callbacks if isinstance(callback, SaveOnInterrupt)), None)
