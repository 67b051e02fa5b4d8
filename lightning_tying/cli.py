"""`lightning-tying`: command-line arguments go in, an exit status comes out: 0, 2 for bad input, 130 for Ctrl-C.

Only what a command needs is imported: `--help`, `--version` and `examples` answer without Lightning.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from lightning_tying.commands.help_text import HELP
from lightning_tying.errors import ConfigError, TyingError
from lightning_tying.spec.nearest import nearest_name

if TYPE_CHECKING:
    from lightning_tying.commands.tying_cli import TyingCLI

__all__ = ["TyingCLI", "main"]

BAD_INPUT = 2
INTERRUPTED = 130


def main(args: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        args: what follows the program's name; None for that of this process.

    Returns:
        The exit status: 0, 2 after one message on stderr for bad input, 130 after Ctrl-C.
    """
    words = list(sys.argv[1:] if args is None else args)
    try:
        return _dispatch(words)
    except TyingError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as done:  # the parser's way to end after --help and --print_config
        return done.code if isinstance(done.code, int) else 0


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(HELP)
        return 0 if words else BAD_INPUT
    if words[0] == "--version":
        print(f"lightning-tying {version('lightning-tying')}")
        return 0
    if words[0] not in COMMANDS:
        near = nearest_name(words[0], list(COMMANDS))
        hint = f" Did you mean `{near}`?" if near else ""
        raise ConfigError(f"There is no command `{words[0]}`.{hint} Commands: {', '.join(COMMANDS)}.")
    return COMMANDS[words[0]](words)


def _run(words: list[str]) -> int:
    from lightning_tying.commands.run import run  # heavy: Lightning

    return run(words)


def _plan(words: list[str]) -> int:
    from lightning_tying.commands.plan import plan  # heavy: Lightning

    return plan(words[1:])


def _discover(words: list[str]) -> int:
    from lightning_tying.commands.discover import discover  # heavy: Lightning

    return discover(words[1:])


def _examples(words: list[str]) -> int:
    from lightning_tying.commands.examples import examples  # only for this command

    return examples(words[1:])


def _checkpoint(words: list[str]) -> int:
    from lightning_tying.commands.checkpoints.command import checkpoint  # heavy: torch

    return checkpoint(words[1:])


def _report(words: list[str]) -> int:
    from lightning_tying.commands.report import report  # heavy: torch

    return report(words[1:])


def _vocab(words: list[str]) -> int:
    from lightning_tying.commands.vocabulary.command import vocabulary  # only for this command

    return vocabulary(words[1:])


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "fit": _run,
    "validate": _run,
    "test": _run,
    "predict": _run,
    "plan": _plan,
    "discover": _discover,
    "report": _report,
    "checkpoint": _checkpoint,
    "vocab": _vocab,
    "examples": _examples,
}


def __getattr__(name: str) -> Any:
    """Load `TyingCLI`, and with it Lightning, when it is first asked for (PEP 562)."""
    if name == "TyingCLI":
        from lightning_tying.commands.tying_cli import TyingCLI  # the point of this function

        return TyingCLI
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if __name__ == "__main__":
    sys.exit(main())
