"""`lightning-tying checkpoint`: a subcommand and its arguments go in; reports, and other files, come out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from lightning_tying.checkpoints.consolidate import consolidate_checkpoint
from lightning_tying.checkpoints.describe import describe_checkpoint
from lightning_tying.checkpoints.read import is_sharded
from lightning_tying.checkpoints.report_text import report_text
from lightning_tying.checkpoints.write import check_target, write_checkpoint
from lightning_tying.commands.options import take_flag, take_option, take_value
from lightning_tying.errors import ConfigError
from lightning_tying.spec.nearest import nearest_name

USAGE = """\
usage: lightning-tying checkpoint inspect FILE|FOLDER [--format text|json]
       lightning-tying checkpoint migrate FILE --to B.yaml|none --output OUT.ckpt [--from A.yaml] [--dry-run]
       lightning-tying checkpoint migrate FILE --vocabulary NEW.json --output OUT.ckpt [--new_rows RULE] [--dry-run]
       lightning-tying checkpoint consolidate FOLDER --output OUT.ckpt
       lightning-tying checkpoint export FILE --format safetensors|hf|onnx|torch-export --output OUT
       lightning-tying checkpoint export FILE --member NAME --output OUT.ckpt
       lightning-tying checkpoint import FILE --format safetensors|hf --config RUN.yaml --output OUT.ckpt

  inspect      what a checkpoint holds: sharing groups, sizes, spec, progress, optimizer, callbacks
  migrate      the same training with another sharing spec, or another vocabulary: weights and moments
  consolidate  a sharded checkpoint as one file, each tensor once, from which one process can go on
  export       the weights, or the network, for other programs; or one member of a joint training
  import       weights from other programs, as a checkpoint of a run config's model

`lightning-tying checkpoint COMMAND --help` says more. A file that is there already is replaced only with --force, and
every output is there whole or not at all. Nothing in a checkpoint is run: it is read as tensors and plain values."""

INSPECT = """\
usage: lightning-tying checkpoint inspect FILE|FOLDER [--format text|json]

Says what a checkpoint holds without a config and without reading its tensors: one file, or the folder of a sharded
checkpoint.

  --format FORMAT    text (default), or json: every tensor with its names, shape, type and bytes"""

CONSOLIDATE = """\
usage: lightning-tying checkpoint consolidate FOLDER --output OUT.ckpt [--force]

Puts the shards that ModelParallelStrategy (save_distributed_checkpoint) or FSDP wrote together: weights with each
tensor once, optimizer states numbered as one process numbers them, loops, callbacks and hyperparameters as they are.
Then: lightning-tying fit --config RUN.yaml --ckpt_path OUT.ckpt"""


def checkpoint(words: list[str]) -> int:
    """Run a subcommand.

    Raises:
        ConfigError: there is no such subcommand, or its input is bad.
    """
    if not words or words[0] in ("-h", "--help"):
        print(USAGE)
        return 0
    if words[0] not in SUBCOMMANDS:
        near = nearest_name(words[0], list(SUBCOMMANDS))
        hint = f" Did you mean `{near}`?" if near else ""
        raise ConfigError(f"There is no `checkpoint {words[0]}`.{hint} Commands: {', '.join(SUBCOMMANDS)}.")
    return SUBCOMMANDS[words[0]](words[1:])


def inspect(words: list[str]) -> int:
    """Print what a checkpoint holds."""
    if not words or words in (["-h"], ["--help"]):
        print(INSPECT)
        return 0
    rest, chosen = take_option(words, "--format", ("text", "json"))
    report = describe_checkpoint(only_path(rest, "inspect"))
    print(json.dumps(report.to_dict(), indent=1, ensure_ascii=False) if chosen == "json" else report_text(report))
    return 0


def consolidate(words: list[str]) -> int:
    """Write a sharded checkpoint as one file."""
    if not words or words in (["-h"], ["--help"]):
        print(CONSOLIDATE)
        return 0
    rest, output = take_value(words, "--output")
    rest, force = take_flag(rest, "--force")
    folder = only_path(rest, "consolidate")
    is_sharded(folder)
    if output is None:
        raise ConfigError("consolidate wants --output OUT.ckpt.")
    check_target(Path(output), force=force)
    write_checkpoint(consolidate_checkpoint(folder), Path(output), force=force)
    print(f"written: {output} ({Path(output).stat().st_size:,} bytes)")
    return 0


def only_path(words: list[str], command: str) -> Path:
    """The one path among the words that are left.

    Raises:
        ConfigError: there is none, or something else besides.
    """
    if not words or words[0].startswith("-"):
        raise ConfigError(f"{command} wants the path of a checkpoint first. See `checkpoint {command} --help`.")
    if len(words) > 1:
        raise ConfigError(f"{command} does not know {words[1]}. See `checkpoint {command} --help`.")
    return Path(words[0])


def _migrate(words: list[str]) -> int:
    if any(word.partition("=")[0] == "--vocabulary" for word in words):
        from lightning_tying.commands.checkpoints.migrate_vocabulary import migrate_vocabulary  # heavy: Lightning

        return migrate_vocabulary(words)
    from lightning_tying.commands.checkpoints.migrate import migrate  # heavy: Lightning

    return migrate(words)


def _export(words: list[str]) -> int:
    from lightning_tying.commands.checkpoints.export import export  # heavy: Lightning

    return export(words)


def _import(words: list[str]) -> int:
    from lightning_tying.commands.checkpoints.import_weights import import_weights  # heavy: Lightning

    return import_weights(words)


SUBCOMMANDS: dict[str, Callable[[list[str]], int]] = {
    "inspect": inspect,
    "migrate": _migrate,
    "consolidate": consolidate,
    "export": _export,
    "import": _import,
}
