"""Who shares a row, on the command line: options go in, what makes the row map of vocabularies comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from lightning_tying.commands.options import take_flag, take_value
from lightning_tying.errors import ConfigError
from lightning_tying.vocab.dictionaries import Dictionary, induce, read_babel, read_emoji, read_tsv
from lightning_tying.vocab.measures.parity import is_parallel
from lightning_tying.vocab.rows.make import make_row_map
from lightning_tying.vocab.rows.members import Members
from lightning_tying.vocab.rows.row_map import RowMap
from lightning_tying.vocab.words import Parallel

_TEXT_OPTIONS = ("--package", "--texts", "--config", "--languages", "--split")
ReadParallel = Callable[[list[str]], Parallel]
_PACKAGES: Mapping[str, Callable[[list[str]], Dictionary]] = {"emoji": read_emoji, "babel": read_babel}


@dataclass(frozen=True)
class SharingWords:
    """What was said about sharing.

    Args:
        policy: one of `POLICIES`.
        threshold: of "surface_similar".
        dictionary: of "dictionary": emoji, babel, induced, or a file.
        synonyms: of "dictionary".
        read: reads parallel text in languages.
    """

    policy: str
    threshold: float
    dictionary: str | None
    synonyms: bool
    read: ReadParallel

    def make(self, members: Members) -> RowMap:
        """The row map of vocabularies; texts and dictionaries are read only where the policy looks at them.

        Raises:
            ConfigError: see `make_row_map`; texts or a dictionary cannot be read.
        """
        languages = list(members)
        return make_row_map(
            members,
            self.policy,
            parallel=self.read(languages) if self.policy == "surface_similar" else None,
            dictionary=self._read_dictionary(languages),
            threshold=self.threshold,
            synonyms=self.synonyms,
        )

    def _read_dictionary(self, languages: list[str]) -> Dictionary | None:
        if self.dictionary is None:
            return None
        if self.dictionary == "induced":
            return induce(self.read(languages))
        read = _PACKAGES.get(self.dictionary)
        return read_tsv(self.dictionary) if read is None else read(languages)


def take_sharing(words: list[str], policy: str) -> tuple[list[str], SharingWords]:
    """Take the options of sharing out of the words.

    Raises:
        ConfigError: an option is wrong, or belongs to another policy.
    """
    words, threshold = take_value(words, "--threshold")
    words, dictionary = take_value(words, "--dictionary")
    words, synonyms = take_flag(words, "--synonyms")
    given: list[str] = []
    for name in _TEXT_OPTIONS:
        words, value = take_value(words, name)
        given += [] if value is None else [name, value]
    _check(policy, threshold, dictionary, synonyms=synonyms)
    if given and policy != "surface_similar" and dictionary != "induced":
        raise ConfigError(f"{given[0]} names parallel text, which the policy {policy} does not look at.")
    level = 0.5 if threshold is None else _number(threshold)
    return words, SharingWords(policy, level, dictionary, synonyms, partial(_read_parallel, given))


def _check(policy: str, threshold: str | None, dictionary: str | None, *, synonyms: bool) -> None:
    if (policy == "dictionary") != (dictionary is not None):
        raise ConfigError("--policy dictionary and --dictionary NAME belong together; give both or neither.")
    if threshold is not None and policy != "surface_similar":
        raise ConfigError(f"--threshold belongs to --policy surface_similar, and the policy is {policy}.")
    if synonyms and policy != "dictionary":
        raise ConfigError(f"--synonyms belongs to --policy dictionary, and the policy is {policy}.")
    if dictionary is not None and dictionary not in ("induced", *_PACKAGES) and not dictionary.endswith(".tsv"):
        raise ConfigError(f"--dictionary is emoji, babel, induced, or a .tsv file, not {dictionary}.")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"--threshold is a number from 0 to 1, not {text}.") from None


def _read_parallel(given: list[str], languages: list[str]) -> Parallel:
    from lightning_tying.commands.vocabulary.texts import take_texts  # heavy: Lightning

    more = [] if "--languages" in given else ["--languages", ",".join(languages)]
    # who shares is decided on what is trained on, not on what measures it
    more += [] if "--split" in given else ["--split", "train"]
    parallel = take_texts([*given, *more])[1]().parallel
    if not is_parallel(parallel):
        raise ConfigError(
            "Who shares is decided here by parallel text, and these texts are not translations of each other; give a "
            "table of translations (--texts pairs.tsv) or catalogues (--package, default django)."
        )
    return parallel
