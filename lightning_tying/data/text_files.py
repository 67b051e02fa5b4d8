"""TextFiles: plain text files of each language, or a table of translations, go in; batches come out."""

from __future__ import annotations

from pathlib import Path
from typing import final

from typing_extensions import override

from lightning_tying.data.catalogs import with_sources
from lightning_tying.data.corpus import Messages
from lightning_tying.data.languages import choose_languages
from lightning_tying.data.recipe import Recipe
from lightning_tying.data.text_data import TextData
from lightning_tying.data.text_folder import find_language_files, read_lines, read_table
from lightning_tying.data.text_options import DEFAULT_RECIPE, DEFAULT_SAMPLING, Task, TextOptions
from lightning_tying.errors import ConfigError
from lightning_tying.vocab import Sampling


@final
class TextFiles(TextData):
    """Your own text: a folder with `de.txt`, `fr.txt`, … (one text a line), or a table of translations.

    A table is a `.tsv` whose first line has the languages' codes, or a `.jsonl` with one `{"en": "…", "de": "…"}` a
    line; cells may be empty. A hash of the text (of a table's first column) decides between training, validation and
    test, as for `Catalogs`, whose batches these are too.

    Args:
        folder: a folder with one text file for each language.
        pairs: a table of translations, in place of a folder; translation needs it.
        languages: "all", "core", or BCP 47 codes.
        task: what the batches are for.
        source: translation: the language to translate from into all others, several, or "all" (every direction between
            all languages); added where `languages` lacks one.
        through: translation: keep only the directions that have this language on a side.
        length: language modeling: targets a row, T; else the most tokens of a text.
        batch_size: rows a process and batch.
        max_tokens: translation: fill training batches up to this many padded tokens a process, source and target
            together, in place of `batch_size` rows (by at most a row more, where processes share a batch).
        vocabulary_size: rows of the vocabulary, and of networks.
        source_vocabulary_size: translation from one language into one: rows of the source's own vocabulary; the two
            then keep their own ids, and `vocabulary_size` is the target's.
        vocabulary: path of a `tokenizer.json`, of a united vocabulary's folder, or of a run's `vocabulary.json`; or one
            `tokenizer.json` for each language; in place of learning. A checkpoint's own goes before all.
        recipe: how the vocabulary is learned, and how those of several languages are united.
        sampling: the share of each language in what the vocabulary is learned from, and in an epoch (of each direction
            in translation).
        mask_placeholders: replace `%(name)s`, `{count}` and their kin by `{}`.
        seed: of the order of the training rows.
        cache_dir: where tokens and vocabularies are kept; default `lightning_tying` in the user's cache folder.

    Raises:
        ConfigError: an argument is out of range or missing; the files cannot be read (when they are).
    """

    def __init__(
        self,
        folder: str | None = None,
        *,
        pairs: str | None = None,
        languages: list[str] | str = "all",
        task: Task = "language_modeling",
        source: list[str] | str = "en",
        through: str | None = None,
        length: int = 256,
        batch_size: int = 16,
        max_tokens: int | None = None,
        vocabulary_size: int = 8000,
        source_vocabulary_size: int | None = None,
        vocabulary: str | dict[str, str] | None = None,
        recipe: Recipe = DEFAULT_RECIPE,
        sampling: Sampling = DEFAULT_SAMPLING,
        mask_placeholders: bool = False,
        seed: int = 0,
        cache_dir: str | None = None,
    ) -> None:
        options = TextOptions(
            languages=languages,
            task=task,
            source=source,
            through=through,
            length=length,
            max_tokens=max_tokens,
            vocabulary_size=vocabulary_size,
            source_vocabulary_size=source_vocabulary_size,
            vocabulary=vocabulary,
            recipe=recipe,
            sampling=sampling,
            mask_placeholders=mask_placeholders,
            cache_dir=cache_dir,
        )
        super().__init__(options, batch_size, seed)
        if (folder is None) == (pairs is None):
            raise ConfigError("data: give either data.folder (one text file a language) or data.pairs (a table).")
        if pairs is None and task == "translation":
            raise ConfigError("data.pairs: translation needs a table of translations (.tsv or .jsonl), not a folder.")
        self.folder, self.pairs = folder, pairs

    @override
    def read_messages(self) -> Messages:
        if self.pairs is not None:
            path = Path(self.pairs).expanduser()
            table = read_table(path)
            return {language: table[language] for language in self._choose(set(table), str(path))}
        folder = Path(self.folder or "").expanduser()
        files = find_language_files(folder)
        chosen = self._choose(set(files), str(folder))
        return {language: {line: line for line in read_lines(files[language])} for language in chosen}

    def _choose(self, available: set[str], where: str) -> list[str]:
        chosen = choose_languages(self.options.languages, available, where)
        return with_sources(chosen, self.options, available, where)
