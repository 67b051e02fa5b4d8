"""`build`: the `model:` section of a run config goes in, a tied LightningModule comes out."""

# pyright: reportUnknownMemberType=false
# Lightning and jsonargparse are typed in part only.

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml
from jsonargparse import ArgumentError, Namespace
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.cli import LightningArgumentParser
from lightning.pytorch.core.mixins.hparams_mixin import (
    _given_hyperparameters_context,  # pyright: ignore[reportPrivateUsage, reportUnknownVariableType]  # what LightningCLI does, and no public way
)

from lightning_tying.errors import ConfigError
from lightning_tying.spec.tree import describe_value
from lightning_tying.tasks.parser_errors import explain_instantiation, explain_parser_error, is_required
from lightning_tying.tasks.sharing_source import SharingSource, is_path, read_sharing
from lightning_tying.tasks.watch.config_keys import check_keys
from lightning_tying.tasks.watch.config_size import check_size

SIZE_LINKS = {"vocabulary_size": "vocab_size", "source_vocabulary_size": "source_vocab_size"}  # data → network


def build(config: str | Path | Mapping[str, Any]) -> LightningModule:
    """Build a LightningModule as `lightning-tying fit` would.

    Args:
        config: the `model:` section of a run config, or the whole: as a path (a one-line text that ends in .yaml, .yml
            or .json), as YAML text or as a mapping. Of a whole config `data.init_args.vocabulary_size` is read too;
            it becomes the network's `vocab_size`. A path under `sharing` is relative to the config's file, without
            a file to the working directory.

    Returns:
        The module, whose hparams are plain content.

    Raises:
        ConfigError: the config is wrong: where, and what to write.
        SpecError: the sharing spec is wrong, or does not fit the network.
    """
    if not isinstance(config, str | Path | Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
        raise ConfigError(f"build takes a path, YAML text or a mapping, not an object of type {type(config).__name__}.")
    file = Path(cast("str | Path", config)) if is_path(config) else None
    whole = dict(config) if isinstance(config, Mapping) else read_config(config if file is None else file)
    sections = {"model": whole} if "class_path" in whole else {k: whole[k] for k in ("model", "data") if k in whole}
    if not isinstance(sections.get("model"), Mapping):
        raise ConfigError(f"{file or 'The config'} has no `model` with a class_path.")
    sections["model"] = _with_sharing(dict(sections["model"]), Path() if file is None else file.parent)
    parser = make_parser()
    try:
        parsed = parser.parse_object(sections)
        check_vocab_size(parsed["model"])
        return instantiate_model(parser, parsed)
    except ArgumentError as error:
        raise ConfigError(explain_parser_error(error, [file] if file else [])) from error
    except (ValueError, TypeError) as error:
        raise explain_instantiation(error) from error


def make_parser() -> LightningArgumentParser:
    """Make the parser of `model` and `data`."""
    parser = LightningArgumentParser(exit_on_error=False)
    parser.add_lightning_class_args(LightningModule, "model", subclass_mode=True)
    parser.add_lightning_class_args(LightningDataModule, "data", subclass_mode=True, required=False)
    link_vocabulary(parser)
    return parser


def link_vocabulary(parser: LightningArgumentParser) -> None:
    """Make the data's `vocabulary_size` the network's `vocab_size`, and the source's likewise, where both have it."""
    for given, taken in SIZE_LINKS.items():
        parser.link_arguments(f"data.init_args.{given}", f"model.init_args.network.init_args.{taken}")


def instantiate_model(parser: LightningArgumentParser, parsed: Namespace) -> LightningModule:
    """Make the model alone of a parsed config, with its hparams."""
    dumped: dict[str, Any] = yaml.safe_load(
        parser.dump(parsed, skip_link_targets=False, skip_unset=False, format="yaml")
    )["model"]
    restore_vocab_size(dumped, parsed["model"])
    hparams: dict[str, Any] = {"_class_path": dumped["class_path"], **(dumped.get("init_args") or {})}
    only = Namespace(model=parsed["model"])
    with _given_hyperparameters_context(hparams=hparams, instantiator="lightning.pytorch.cli.instantiate_module"):
        return cast(LightningModule, parser.instantiate(only)["model"])


def check_vocab_size(parsed: Any) -> None:
    """Refuse a network whose `vocab_size` neither the config nor the data gives; the link made it optional.

    Args:
        parsed: the `model` section as it was parsed.

    Raises:
        ConfigError: naming the network.
    """
    network = parsed.get("init_args.network")
    arguments = network.get("init_args") if isinstance(network, Namespace) else None
    if arguments is None or "vocab_size" not in arguments or arguments["vocab_size"] is not None:
        return
    class_path = str(network["class_path"])
    if is_required(class_path, "vocab_size"):
        raise ConfigError(
            f"{class_path} needs a value for `vocab_size`. Write it under init_args, "
            "or give data with a vocabulary_size."
        )


def restore_vocab_size(dumped: dict[str, Any], parsed: Any) -> None:
    """Put the network's sizes into a dumped model: jsonargparse leaves out what a nested link has set.

    Args:
        dumped: the `model` section as plain data, changed in place.
        parsed: the same section as it was parsed.
    """
    arguments: dict[str, Any] = dumped.get("init_args") or {}
    for name in SIZE_LINKS.values():
        size = parsed.get(f"init_args.network.init_args.{name}")
        if size is not None and isinstance(arguments.get("network"), dict):
            arguments["network"].setdefault("init_args", {})[name] = size


def read_config(source: str | Path) -> dict[str, Any]:
    """Read YAML that holds a mapping: a `Path` is a file, a text is the YAML itself.

    Raises:
        ConfigError: no such file, not YAML, or no mapping.
    """
    name = str(source) if isinstance(source, Path) else "<text>"
    try:
        text = source.read_text(encoding="utf-8") if isinstance(source, Path) else source
    except FileNotFoundError as error:
        raise ConfigError(
            f"The config {source} does not exist (looked for in {Path(source).parent.resolve()})."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"The config {source} is not UTF-8 text (byte {error.start}).") from error
    except OSError as error:
        raise ConfigError(f"The config {source} cannot be read: {error.strerror}.") from error
    except ValueError as error:  # a name with a null character
        raise ConfigError(f"The config {str(source)!r} cannot be read: {error}.") from error
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise ConfigError(f"{name}{line}: This is not YAML: {problem}.") from error
    except RecursionError as error:
        raise ConfigError(f"{name}: The config nests too deep.") from error
    check_size(content, name)
    check_keys(text, name)
    if not isinstance(content, dict):
        found = "empty" if content is None else describe_value(content)
        raise ConfigError(f"{name}: A config is a mapping with `model`, `data` and `trainer`; this one is {found}.")
    return cast("dict[str, Any]", content)


def _with_sharing(model: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Read the file that `sharing` names, while it is known where the config stands."""
    arguments = dict(model.get("init_args") or {})
    sharing = arguments.get("sharing")
    if isinstance(sharing, str) and is_path(sharing):
        arguments["sharing"] = SharingSource(sharing, spec=read_sharing(folder / sharing))
        return {**model, "init_args": arguments}
    return model
