"""The texts of `vocab train`: a config goes in; training texts, dev texts and held-out messages come out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from lightning_tying.commands.vocabulary.train_config import TrainConfig
from lightning_tying.data import Catalogs, TextFiles
from lightning_tying.data.corpus import Corpus, Messages, align, split_messages
from lightning_tying.data.messages import clean_text
from lightning_tying.data.text_data import TextData
from lightning_tying.errors import ConfigError

LEAST_DEV = 20  # messages that all languages have; with fewer the comparison is chance


@final
@dataclass(frozen=True)
class TrainTexts:
    """What a vocabulary is learned from and measured with.

    Args:
        texts: the training texts of each language, each once.
        messages: the same with their keys.
        held_out: messages of validation and test, which nothing is learned from.
        digest: of the whole corpus.
    """

    texts: Mapping[str, list[str]]
    messages: Messages
    held_out: Messages
    digest: str

    def dev(self) -> dict[str, list[str]]:
        """The training messages that every language has, line by line.

        Raises:
            ConfigError: there are too few.
        """
        texts = {language: list(messages.values()) for language, messages in align(self.messages).items()}
        count = min(map(len, texts.values()))
        if count < LEAST_DEV:
            fewest = min(self.messages, key=lambda language: len(self.messages[language]))
            raise ConfigError(
                f"strategy: parity compares the languages on messages that all of them have; there are {count}, and "
                f"{LEAST_DEV} are needed. Leave languages out ({fewest} has the fewest messages), take catalogues or a "
                "table of translations (corpus.pairs) in place of plain texts, or the strategy joint."
            )
        return texts


def read_texts(config: TrainConfig) -> TrainTexts:
    """Read the corpus of a config.

    Raises:
        ConfigError: the corpus cannot be read, or has no text in a language.
    """
    messages = {
        language: {key: clean_text(text, config.mask_placeholders) for key, text in texts.items()}
        for language, texts in _make_data(config).read_messages().items()
    }
    corpus = split_messages(messages, unique=False)
    empty = [language for language, texts in corpus.splits["train"].items() if not texts]
    if isinstance(config.languages, str) and config.source[0] in ("package", "catalogs"):  # nobody named these
        corpus, empty = corpus.without(empty), []
    if empty or not corpus.languages:
        raise ConfigError(
            f"languages: there is no text to learn from in {', '.join(empty) or 'any language'} of {config.source[1]}; "
            "untranslated copies of the English and empty messages do not count. Give more, or name others."
        )
    texts = {language: list(dict.fromkeys(lines)) for language, lines in corpus.texts("train").items()}
    return TrainTexts(texts, corpus.splits["train"], _join(corpus), corpus.digest)


def _make_data(config: TrainConfig) -> TextData:
    kind, name = config.source
    if kind == "package":
        return Catalogs(name, languages=config.languages)
    if kind == "catalogs":
        return Catalogs(None, folder=name, languages=config.languages)
    if kind == "texts":
        return TextFiles(name, languages=config.languages)
    return TextFiles(pairs=name, languages=config.languages)


def _join(corpus: Corpus) -> dict[str, dict[str, str]]:
    return {
        language: {**corpus.splits["val"][language], **corpus.splits["test"][language]} for language in corpus.languages
    }
