"""TextFiles: plain text files of each language, or a table of translations, go in; batches come out."""

from __future__ import annotations

from pathlib import Path
from typing import final

from typing_extensions import override

from lightning_tying.data.catalogs import with_source
from lightning_tying.data.corpus import Messages
from lightning_tying.data.languages import choose_languages, to_bcp47
from lightning_tying.data.text_data import TextData
from lightning_tying.data.text_folder import find_language_files, read_lines, read_table
from lightning_tying.data.text_options import DEFAULT_SAMPLING, Task, TextOptions
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
        source: translation: the language to translate from into all others.
        length: language modeling: targets a row, T; else the most tokens of a text.
        batch_size: rows a process and batch.
        vocabulary_size: rows of the vocabulary that is learned from the training split, and of networks.
        vocabulary: path of a `tokenizer.json`, in place of learning one. A checkpoint's own goes before both.
        sampling: the share of each language in what the vocabulary is learned from, and in an epoch.
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
        source: str = "en",
        length: int = 256,
        batch_size: int = 16,
        vocabulary_size: int = 8000,
        vocabulary: str | None = None,
        sampling: Sampling = DEFAULT_SAMPLING,
        mask_placeholders: bool = False,
        seed: int = 0,
        cache_dir: str | None = None,
    ) -> None:
        options = TextOptions(
            languages,
            task,
            to_bcp47(source),
            length,
            vocabulary_size,
            vocabulary,
            sampling,
            mask_placeholders,
            cache_dir,
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
        return with_source(chosen, self.options, available, where)
