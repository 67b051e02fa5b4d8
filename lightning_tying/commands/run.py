"""`fit`, `validate`, `test`, `predict`: arguments go in, a run and its exit status come out."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from jsonargparse import ArgumentError
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from typing_extensions import override

from lightning_tying.callbacks import SaveOnInterrupt
from lightning_tying.commands.tying_cli import TyingCLI
from lightning_tying.errors import ConfigError
from lightning_tying.tasks.build import read_config
from lightning_tying.tasks.parser_errors import explain_instantiation, explain_parser_error

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
        """Run, and tell an interrupt from an exit."""
        try:
            super()._run_subcommand(subcommand)
        except SystemExit as error:
            if self.trainer.interrupted:
                raise Interrupted(_find_saved(self.trainer)) from error
            raise


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
        with_clear_errors(words, lambda: RunCLI(args=words))
    except Interrupted as interrupted:
        print_resume(words, interrupted.saved)
        return INTERRUPTED
    except SystemExit as error:  # --help and --print_config end so
        return error.code if isinstance(error.code, int) else 0
    return 0


def with_clear_errors(words: list[str], call: Callable[[], Result]) -> Result:
    """Call something that parses `words`; what the parser and Lightning say of them becomes a `ConfigError`."""
    files = find_configs(words)
    for file in files:
        read_config(file)
    argv, sys.argv = sys.argv, sys.argv[:1]  # LightningCLI warns when it is given arguments and there are others
    try:
        return call()
    except ArgumentError as error:
        raise ConfigError(explain_parser_error(error, files, known_keys(words[0]))) from error
    except MisconfigurationException as error:
        raise ConfigError(str(error)) from error
    finally:
        sys.argv = argv


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
    own = ["config", "seed_everything", "model", "data", "trainer", "sharing", "init_from", "parameter_savings"]
    method = [name for name in inspect.signature(getattr(Trainer, command)).parameters if name != "self"]
    skipped = {"model", "datamodule", "dataloaders", "train_dataloaders", "val_dataloaders"}
    return [*own, *(name for name in method if name not in skipped), *trainer]


def print_resume(words: list[str], saved: Path | None) -> None:
    """Print the exact line that goes on from where the run was stopped."""
    if saved is None:
        print("Interrupted before there was anything to save.", file=sys.stderr)
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
