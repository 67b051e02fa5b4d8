"""The texts of a command line: options go in; held-out texts, and all messages by language and key, come out."""

# pyright: reportUnknownMemberType=false
# jsonargparse is typed in part only.

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from lightning_tying.commands.options import take_option, take_value
from lightning_tying.data import Catalogs, TextFiles
from lightning_tying.data.corpus import SPLITS, Split
from lightning_tying.data.languages import to_bcp47
from lightning_tying.data.text_data import TextData
from lightning_tying.errors import ConfigError

OPTIONS = """\
  --package NAME     texts: the catalogues of an installed package; default django
  --texts PATH       texts: a folder with de.txt, fr.txt, … (a text a line), or a table of translations (.tsv, .jsonl)
  --config FILE      texts: the `data` of a run config
  --languages CODES  only these: en,de,fr; all; core (26 languages)
  --split SPLIT      measure on test (default), val, train or all messages"""


@dataclass(frozen=True)
class Texts:
    """What a vocabulary is measured with.

    Args:
        held_out: language → texts.
        parallel: the same by language and key.
        corpus: all messages of all splits, by language and key.
    """

    held_out: Mapping[str, list[str]]
    parallel: Mapping[str, Mapping[str, str]]
    corpus: Mapping[str, Mapping[str, str]]

    def within(self, languages: Sequence[str] | None) -> Texts:
        """The same in some languages only; None for all.

        Raises:
            ConfigError: there are texts in none of them.
        """
        if languages is None or self.held_out.keys() <= set(languages):
            return self
        if not self.held_out.keys() & set(languages):
            raise ConfigError(
                f"The vocabulary can write {', '.join(languages)}, and the texts are in {', '.join(self.held_out)}."
            )
        held_out, parallel, corpus = (
            {language: each[language] for language in each if language in languages}
            for each in cast("tuple[Mapping[str, Any], ...]", (self.held_out, self.parallel, self.corpus))
        )
        return Texts(held_out, parallel, corpus)


def take_texts(words: list[str]) -> tuple[list[str], Callable[..., Texts]]:
    """Take the options of texts out of the words.

    Returns:
        The other words, and a function that reads the texts: once all words are known to be right. It may be given
        the only languages that can be measured, which are those that are read where the words name none.

    Raises:
        ConfigError: an option is wrong, or there is more than one source of texts.
    """
    words, split = take_option(words, "--split", (*SPLITS, "all"))
    words, languages = take_value(words, "--languages")
    codes = [] if languages is None else [to_bcp47(code.strip()) for code in languages.split(",")]
    twice = next((code for code in codes if codes.count(code) > 1), None)
    if twice is not None:
        raise ConfigError(f"--languages names {twice} more than once.")
    given: dict[str, str] = {}
    for name in ("--config", "--package", "--texts"):
        words, value = take_value(words, name)
        if value is not None:
            given[name] = value
    if len(given) > 1:
        raise ConfigError(f"Give one source of texts, not both {' and '.join(given)}.")
    source, value = next(iter(given.items()), ("--package", "django"))

    def read(only: Sequence[str] | None = None) -> Texts:
        named = languages or (",".join(only) if only and source == "--package" else None)
        texts = _read(_make_data(source, value, named), split or "test")
        return texts if languages else texts.within(only)

    return words, read


def _make_data(source: str, value: str, languages: str | None) -> TextData:
    if source == "--package":
        return Catalogs(value, languages=languages or "core")
    if source == "--texts":
        if not Path(value).exists():
            raise ConfigError(
                f"There is no {value}; --texts is a folder with de.txt, fr.txt, …, or a table (.tsv, .jsonl)."
            )
        if Path(value).is_dir():
            return TextFiles(value, languages=languages or "all")
        return TextFiles(pairs=value, languages=languages or "all")
    return _data_of_config(Path(value), languages)


def _data_of_config(path: Path, languages: str | None) -> TextData:
    from jsonargparse import ArgumentError  # heavy, as the next; only for configs
    from lightning.pytorch import LightningDataModule
    from lightning.pytorch.cli import LightningArgumentParser

    from lightning_tying.tasks.build import read_config
    from lightning_tying.tasks.parser_errors import explain_instantiation, explain_parser_error

    section: Any = read_config(path).get("data")
    if not isinstance(section, dict):
        raise ConfigError(f"{path} has no `data` with a class_path, so it names no texts.")
    data = cast("dict[str, Any]", section)
    if languages is not None:
        arguments = cast("dict[str, Any]", data.get("init_args") or {})
        data["init_args"] = {**arguments, "languages": languages.split(",")}
    parser = LightningArgumentParser(exit_on_error=False)
    parser.add_lightning_class_args(LightningDataModule, "data", subclass_mode=True)
    try:
        made = parser.instantiate(parser.parse_object({"data": data}))["data"]
    except ArgumentError as error:
        raise ConfigError(explain_parser_error(error, [path])) from error
    except (ValueError, TypeError) as error:
        raise explain_instantiation(error) from error
    if not isinstance(made, TextData):
        raise ConfigError(f"{path}: {type(made).__name__} has no texts by language; use Catalogs or TextFiles as data.")
    return made


def _read(data: TextData, split: str) -> Texts:
    parts: dict[Split, Mapping[str, Mapping[str, str]]] = {each: data.parallel_text(each) for each in SPLITS}
    corpus = _join(parts)
    chosen = corpus if split == "all" else parts[cast("Split", split)]
    held_out = {language: list(texts.values()) for language, texts in chosen.items()}
    if not any(held_out.values()):
        raise ConfigError(f"The {split} split has no texts; the corpus is small. Give `--split all`.")
    return Texts(held_out, chosen, corpus)


def _join(parts: Mapping[Split, Mapping[str, Mapping[str, str]]]) -> dict[str, dict[str, str]]:
    joined: dict[str, dict[str, str]] = {}
    for messages in parts.values():
        for language, texts in messages.items():
            joined.setdefault(language, {}).update(texts)
    return joined
