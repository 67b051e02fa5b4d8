"""TextData: a corpus goes in, batches for language modeling, translation or language identification come out."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_warn
from typing_extensions import override

from lightning_tying.data.cache import cache_folder
from lightning_tying.data.corpus import Corpus, Messages, Split, split_messages
from lightning_tying.data.dictionary import load_dictionary
from lightning_tying.data.epoch_batches import EpochBatches, LengthBatches
from lightning_tying.data.loader import TrainLoader
from lightning_tying.data.messages import clean_text
from lightning_tying.data.order import EpochOrder
from lightning_tying.data.pair_rows import PairRows
from lightning_tying.data.row_data import RowData
from lightning_tying.data.row_source import RowSource
from lightning_tying.data.run_folder import save_in_run_folder
from lightning_tying.data.text_options import TextOptions
from lightning_tying.data.text_rows import LabelRows, WindowRows
from lightning_tying.data.token_store import TokenStore, make_token_store
from lightning_tying.data.translation_pairs import Directions, directions_of
from lightning_tying.data.vocabulary_choice import check_tags, choose_vocabulary
from lightning_tying.errors import ConfigError
from lightning_tying.vocab import SharedVocabulary
from lightning_tying.vocab.dictionaries import Dictionary
from lightning_tying.vocab.separate_vocabularies import SeparateVocabularies
from lightning_tying.vocab.vocabulary import Vocabulary, read_vocabulary


class TextData(RowData):
    """Text in several languages under one vocabulary; a concrete class says where the messages come from.

    Args:
        options: what all text data share.
        batch_size: rows a process and batch.
        seed: of the order of the training rows.
    """

    def __init__(self, options: TextOptions, batch_size: int, seed: int) -> None:
        super().__init__(batch_size, options.sampling, seed)
        self.options = options
        self.vocabulary_size = options.vocabulary_size
        self._corpus: Corpus | None = None
        self._store: TokenStore | None = None

    @abstractmethod
    def read_messages(self) -> Messages:
        """The messages as they are: language → key → text.

        Raises:
            ConfigError: they cannot be read.
        """

    @override
    def prepare_data(self) -> None:
        """Read the corpus, learn the vocabulary and encode, so that every process finds all of it in the cache."""
        self._prepare()

    @override
    def setup(self, stage: str) -> None:
        """Load what `prepare_data` made, or make it."""
        self._prepare()

    @override
    def train_dataloader(self) -> TrainLoader:
        """The loader; under a trainer, `tokenizer.json` (of several, `vocabulary.json`) goes into the run folder now.

        Not earlier: a checkpoint that is resumed brings its vocabulary after `setup`.
        """
        loader = super().train_dataloader()
        if self.trainer is not None and self.vocabulary is not None:
            # any program reads a tokenizer.json; several vocabularies in one file only this one
            name = "tokenizer.json" if isinstance(self.vocabulary, SharedVocabulary) else "vocabulary.json"
            save_in_run_folder(self.trainer, name, self.vocabulary.to_json())
        return loader

    @override
    def rows(self, split: Split) -> RowSource:
        corpus, vocabulary, store = self._prepare()
        rows = self._make_rows(split, corpus, vocabulary, store)
        if not len(rows):
            raise ConfigError(
                f"data: the {split} split has no rows for {self.options.task} in {', '.join(self.languages)}; "
                "it needs more messages, or other languages."
            )
        return rows

    @override
    def make_order(self, rows: RowSource, world_size: int) -> EpochBatches:
        if not isinstance(rows, PairRows):
            return super().make_order(rows, world_size)
        order = EpochOrder(rows.groups, self.sampling, self.seed)
        most = None if self.options.max_tokens is None else self.options.max_tokens * world_size
        return LengthBatches(order, rows.widths, self.batch_size * world_size, max_tokens=most, seed=self.seed)

    def split_text(self, split: Split) -> dict[str, list[str]]:
        """The texts of a split by language, as the model sees them (normalized, placeholders masked on request)."""
        return self._load_corpus().texts(split)

    def parallel_text(self, split: Split) -> dict[str, dict[str, str]]:
        """The texts of a split by language and key; equal keys are translations of each other."""
        messages = self._load_corpus().splits[split]
        return {language: dict(texts) for language, texts in messages.items()}

    def dictionary(self, name: str = "emoji") -> Dictionary:
        """Words of the data's languages that mean the same.

        Args:
            name: "emoji", "babel", "induced" (from the aligned training messages), or the path of a .tsv file.

        Raises:
            ConfigError: a package or file is missing, or the file is wrong.
        """
        parallel = self.parallel_text("train")
        return load_dictionary(name, self.languages, parallel)

    def use_vocabulary(self, vocabulary: Vocabulary | str) -> None:
        """Encode with this vocabulary from now on; loaders that exist keep the old one.

        Args:
            vocabulary: a vocabulary or its JSON, of a checkpoint for instance.

        Raises:
            ConfigError: it is no vocabulary, or has no tag for a language of the data.
        """
        if isinstance(vocabulary, str):
            vocabulary = read_vocabulary(vocabulary, where="The vocabulary of the checkpoint")
        self._load_corpus()
        check_tags(vocabulary, self.languages, "The vocabulary of the checkpoint")
        if self.vocabulary is None or vocabulary.digest != self.vocabulary.digest:
            self.vocabulary, self._store = vocabulary, None

    @override
    def state_dict(self) -> dict[str, Any]:
        """The position, the vocabulary and the languages, for the checkpoint."""
        known = {"vocabulary": self.vocabulary.to_json(), "languages": self.languages} if self.vocabulary else {}
        return {**super().state_dict(), **known}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the checkpoint's vocabulary; Lightning calls this before it asks for loaders.

        Raises:
            ConfigError: the data has languages that the checkpoint does not know.
        """
        super().load_state_dict(state_dict)
        if "vocabulary" not in state_dict:
            return
        self.use_vocabulary(str(state_dict["vocabulary"]))
        trained: list[str] = list(state_dict.get("languages", self.languages))
        if self.options.task == "language_identification" and trained != self.languages:
            raise ConfigError(
                f"The checkpoint tells apart {', '.join(trained)}, "
                f"and data.languages gives {', '.join(self.languages)}; give the same languages in the same order, "
                "since their places are the labels."
            )

    @property
    def directions(self) -> Directions:
        """Translation: (source, target) of every direction, in the order of the batches' groups."""
        languages = self._load_corpus().languages
        return directions_of(languages, self.options.asked_sources or languages, self.options.pivot)

    def _prepare(self) -> tuple[Corpus, Vocabulary, TokenStore]:
        corpus = self._load_corpus()
        folder = cache_folder(self.options.cache_dir)
        if self.vocabulary is None:
            self.vocabulary = choose_vocabulary(corpus, self.options, folder)
            check_tags(self.vocabulary, self.languages, f"data.vocabulary: {self.options.vocabulary}")
            self._warn_of_unused_rows(self.vocabulary)
        if self._store is None:
            self._store = make_token_store(corpus, self.vocabulary, folder)
        return corpus, self.vocabulary, self._store

    def _load_corpus(self) -> Corpus:
        if self._corpus is None:
            masked = self.options.mask_placeholders
            messages = {
                language: {key: clean_text(text, masked) for key, text in texts.items()}
                for language, texts in self.read_messages().items()
            }
            corpus = split_messages(messages, unique=self.options.task != "translation")
            empty = [language for language, texts in corpus.splits["train"].items() if not texts]
            if self.options.languages in ("all", "core"):  # nobody named these
                corpus, empty = corpus.without(empty), []
            if self.options.separate:
                _check_two(corpus.languages, self.options)
            if empty or not corpus.languages:
                raise ConfigError(
                    f"data: there is no text to train on in {', '.join(empty) or 'any language'}; untranslated copies "
                    "of the English and empty messages do not count. Leave these languages out, or give more text."
                )
            self._corpus, self.languages = corpus, corpus.languages
            self.classes = corpus.languages if self.options.task == "language_identification" else []
        return self._corpus

    def _make_rows(
        self, split: Split, corpus: Corpus, vocabulary: Vocabulary, store: TokenStore
    ) -> WindowRows | PairRows | LabelRows:
        length = self.options.length
        if self.options.task == "language_modeling":
            return WindowRows(store, split, self.languages, vocabulary, length)
        if self.options.task == "translation":
            directions, languages = self.directions, self.languages
            return PairRows(
                corpus, store, split, languages=languages, directions=directions, vocabulary=vocabulary, length=length
            )
        return LabelRows(store, split, self.languages, vocabulary, length)

    def _warn_of_unused_rows(self, vocabulary: Vocabulary) -> None:
        asked = self.options.vocabulary_size
        if isinstance(vocabulary, SeparateVocabularies) or vocabulary.size >= asked:
            return
        why = "the corpus has no more pieces" if isinstance(vocabulary, SharedVocabulary) else "members share the rest"
        rank_zero_warn(
            f"The vocabulary has {vocabulary.size} rows of the {asked} of data.vocabulary_size: {why}. A network with "
            f"{asked} rows keeps {asked - vocabulary.size} that no text uses; set data.vocabulary_size: "
            f"{vocabulary.size}."
        )


def _check_two(languages: list[str], options: TextOptions) -> None:
    sources = options.asked_sources
    if len(languages) != 2 or len(sources) != 1:
        raise ConfigError(
            "data.source_vocabulary_size: source and target have vocabularies of their own where data.source is one "
            f"language and data.languages one other; they are {options.source} and {', '.join(languages)}."
        )
