"""One clear sentence about a wrong config: a parser's message goes in, what, where and what to write comes out."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lightning_tying.errors import ConfigError, TyingError
from lightning_tying.spec.nearest import nearest_name
from lightning_tying.tasks.config_lines import locate

GIVEN = ("params", "optimizer")  # what a task gives to optimizers and schedules itself


def explain_parser_error(error: Exception | str, files: Sequence[Path] = (), known: Iterable[str] = ()) -> str:
    """Say what is wrong in a run config.

    Args:
        error: what jsonargparse raised; its first cause stands among many lines about alternatives.
        files: the config files, to say in which line the wrong word stands.
        known: all keys of the parser, `trainer.max_steps`, to name the nearest.

    Returns:
        A text of one line, `‹file›:‹line›: ‹what›. ‹what to write›`.
    """
    text = str(error)
    for pattern, explain in RULES:
        found = re.search(pattern, text)
        if found:
            word, sentence = explain(text, found, tuple(known))
            return f"{locate(files, word)}{sentence}"
    return _innermost(text)


def find_cause(error: BaseException) -> BaseException:
    """What made the parser fail: the first error of this package in the chain, else the innermost error."""
    seen: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in seen:
        if isinstance(current, TyingError):
            return current
        seen.append(current)
        current = current.__cause__ or current.__context__
    return seen[-1]


def explain_instantiation(error: Exception) -> TyingError:
    """What a class says of its arguments when it is made, without what the parser adds."""
    cause = find_cause(error)
    if isinstance(cause, TyingError):
        return cause
    lines = [line for line in str(cause).splitlines() if line.strip()]
    return ConfigError(lines[0] if lines else f"{type(cause).__name__} while the config was carried out.")


def _unknown_argument(text: str, found: re.Match[str], _known: tuple[str, ...]) -> tuple[str, str]:
    word = found[1].partition(".")[0]
    owner = _class_before(text, found.start()) or ""
    names = _arguments(owner)
    of = f"no argument of {owner}" if owner else "not known here"
    listed = f" Known: {', '.join(names)}." if names else ""
    return word, f"`{word}` is {of}.{_did_you_mean(word, names)}{listed}"


def _unknown_key(_text: str, found: re.Match[str], known: tuple[str, ...]) -> tuple[str, str]:
    word = found[1]
    first = word.partition(".")[0]
    if first not in known:
        word = first
    parent = word.rpartition(".")[0]
    beside = [key for key in known if key.rpartition(".")[0] == parent]
    listed = "" if parent else f" Known: {', '.join(beside)}."
    return word.rpartition(".")[2], f"Unknown key `{word}`.{_did_you_mean(word, beside)}{listed}"


def _unknown_class(text: str, found: re.Match[str], _known: tuple[str, ...]) -> tuple[str, str]:
    module, name = found[1], found[2]
    key = _key_before(text, found.start())
    names = [each for each in dir(importlib.import_module(module)) if not each.startswith("_")]
    return f"{module}.{name}", f"{key}`{module}` has no class `{name}`.{_did_you_mean(name, names)}"


def _unknown_module(text: str, found: re.Match[str], _known: tuple[str, ...]) -> tuple[str, str]:
    path = _class_before(text, found.start()) or found[1]
    key = _key_before(text, found.start())
    return path, f"{key}{path}: there is no module `{found[1]}`. Correct the class_path, or install its package."


def _no_path(text: str, found: re.Match[str], _known: tuple[str, ...]) -> tuple[str, str]:
    key = _key_before(text, found.start())
    word = found[1].strip()
    return word, f"{key}there is no class `{word}`. Write its whole path, such as {_example(key)}."


def _wrong_type(text: str, found: re.Match[str], _known: tuple[str, ...]) -> tuple[str, str]:
    key = _key_before(text, found.start())
    return found[2].strip(), f"{key}expected {_readable(found[1])}, not {found[2].strip()}."


def _none_of(text: str, found: re.Match[str], _known: tuple[str, ...]) -> tuple[str, str]:
    key = _key_before(text, found.start())
    kinds = re.findall(r"typing\.Literal\[[^\]]*\]|<class '[\w.]+'>|list\[[^\]]*\]", found[1])
    wanted = list(dict.fromkeys(_readable(kind) for kind in kinds if "NoneType" not in kind and "Tensor" not in kind))
    given = found[2].strip().partition(". Got value:")[0]
    return given, f"{key}expected {' or '.join(wanted)}, not {given}."


def _unrecognized(_text: str, found: re.Match[str], known: tuple[str, ...]) -> tuple[str, str]:
    word = found[1].split()[0]
    name = word.removeprefix("--").partition("=")[0]
    if not word.startswith("--"):
        hint = f" Give a run config by --config: --config {word}" if word.endswith((".yaml", ".yml")) else ""
        return "", f"`{word}` belongs to no option.{hint}"
    inside = [key for key in known if key.rpartition(".")[2] == name]
    near = inside[0] if inside else nearest_name(name, list(known))
    return "", f"There is no option `--{name}`.{f' Did you mean `--{near}`?' if near else ''}"


def _no_mapping(text: str, found: re.Match[str], _known: tuple[str, ...]) -> tuple[str, str]:
    return found[1], f"{_key_before(text, found.start())}expected a mapping, not {found[1]}."


def _no_sharing(text: str, found: re.Match[str], _known: tuple[str, ...]) -> tuple[str, str]:
    return "sharing", f"{_key_before(text, found.start())}{found[1]}."


def _other_class(text: str, found: re.Match[str], _known: tuple[str, ...]) -> tuple[str, str]:
    path = re.findall(r"Import path ([\w.]+) ", text[: found.start() + 1])[-1]
    return path, f"{_key_before(text, found.start())}{path} is no {found[1]}. Write the class_path of one."


def _required(_text: str, found: re.Match[str], _known: tuple[str, ...]) -> tuple[str, str]:
    names = [name.strip().partition(".")[2] or name.strip() for name in found[1].split(",")]
    return "", f"The run config has no `{'`, no `'.join(names)}`. Give it in a --config file or on the command line."


def _required_argument(text: str, found: re.Match[str], _known: tuple[str, ...]) -> tuple[str, str]:
    owner = _class_before(text, found.start())
    words = "`, `".join(found[1].split(", "))
    if owner is None:
        return _required(text, found, _known)
    return owner, f"{owner} needs a value for `{words}`. Write it under init_args."


def _missing_file(_text: str, found: re.Match[str], _known: tuple[str, ...]) -> tuple[str, str]:
    return found[1], f"The file {found[1]} does not exist."


RULES: tuple[tuple[str, Any], ...] = (
    (r"Option '([^']+)' is not accepted", _unknown_argument),
    (r"does not accept option '([^']+)'", _unknown_key),
    (r"module '([\w.]+)' has no attribute '(\w+)'", _unknown_class),
    (r"No module named '([\w.]+)'", _unknown_module),
    (r"Not of type SharingSource: ([^\n]*)", _no_sharing),
    (r"does not correspond to a subclass of (\w+)", _other_class),
    (r"unrecognized arguments: ([^\n]+)", _unrecognized),
    (r"Unable to load config ['\"]([^\n]*)['\"]\n", _no_mapping),
    (r"Subtypes: \[([^\n]*(?:'int'|'float'|'bool'|Literal)[^\n]*)\]\n[\s\S]*?Given value: ([^\n]*)", _none_of),
    (r"Expected a dot import path string: (\S+)", _no_path),
    (r"Expected (?:a|an) ([^\n]*?)\. Got value: ([^\n]*)", _wrong_type),
    (r"arguments are required: ([^\n.]+)(?:\n|$)", _required_argument),
    (r"arguments are required: ([^\n]+)", _required),
    (r"File does not exist: '([^']+)'", _missing_file),
)


def _class_before(text: str, end: int) -> str | None:
    """The class_path that a place of the message is about: named before it, or as the value that was given."""
    before = re.findall(r"class_path '([\w.]+)'", text[:end])
    given = re.search(r"Got value: Namespace\(class_path='([\w.]+)'", text[end : end + 200])
    if given and "\n" not in text[end : end + given.start()]:
        return given[1]
    return before[-1] if before else None


def _key_before(text: str, end: int) -> str:
    given = re.findall(r'[Pp]arser key "([\w.]+)"', text[:end])
    keys = [key for place, key in enumerate(given) if place == 0 or key != given[place - 1]]
    return f"`{'.'.join(keys)}`: " if keys else ""


def is_required(class_path: str, argument: str) -> bool:
    """Whether a class has to be given an argument."""
    module, _, name = class_path.rpartition(".")
    parameter = inspect.signature(getattr(importlib.import_module(module), name)).parameters.get(argument)
    return parameter is not None and parameter.default is parameter.empty


def _arguments(class_path: str) -> list[str]:
    module, _, name = class_path.rpartition(".")
    try:
        signature = inspect.signature(getattr(importlib.import_module(module), name))
    except (ImportError, AttributeError, ValueError, TypeError):
        return []
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    names = [parameter.name for parameter in signature.parameters.values() if parameter.kind not in kinds]
    return [name for name in names if name not in GIVEN]


def _did_you_mean(word: str, names: Iterable[str]) -> str:
    near = nearest_name(word, list(names))
    return f" Did you mean `{near}`?" if near else ""


def _example(key: str) -> str:
    examples = {
        "optimizer": "torch.optim.AdamW",
        "scheduler": "lightning_tying.tasks.WarmupCosine",
        "callbacks": "lightning_tying.callbacks.ParameterSavings",
        "logger": "lightning.pytorch.loggers.CSVLogger",
        "data": "lightning_tying.data.Catalogs",
    }
    return next((path for word, path in examples.items() if word in key), "lightning_tying.models.DecoderLM")


def _readable(kind: str) -> str:
    if kind.startswith("typing.Literal["):
        return "one of " + kind.removeprefix("typing.Literal[").removesuffix("]").replace("'", "")
    known = {"int": "a whole number", "float": "a number", "str": "a text", "bool": "true or false"}
    name = re.sub(r"<class '(?:[\w.]+\.)?(\w+)'>", r"\1", kind)
    return known.get(name, name)


def _innermost(text: str) -> str:
    """The most deeply indented line of a message, with the keys that lead to it."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < 2:
        return text.strip()
    deepest = max(lines, key=lambda line: (len(line) - len(line.lstrip()), -lines.index(line)))
    return f"{_key_before(text, len(text))}{deepest.strip().removeprefix('- ')}"
