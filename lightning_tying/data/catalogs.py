"""Catalogs: the gettext catalogues of an installed package or a folder go in, batches of aligned messages come out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import final

from typing_extensions import override

from lightning_tying.data.catalog_files import find_catalogs, find_package, read_messages
from lightning_tying.data.corpus import Messages
from lightning_tying.data.languages import choose_languages, to_bcp47
from lightning_tying.data.text_data import TextData
from lightning_tying.data.text_options import DEFAULT_SAMPLING, Task, TextOptions
from lightning_tying.errors import ConfigError
from lightning_tying.vocab import Sampling


@final
class Catalogs(TextData):
    """The messages of a program in all its languages: real text, aligned, and offline once the package is installed.

    English is the message id. Fuzzy, obsolete and untranslated entries are left out; of plurals the first form is
    taken. A hash of the message id decides between training (85 %), validation (5 %) and test (10 %), so that no
    message is in two splits in any language. Needs the package `polib` (extra `examples`).

    A batch is a dict, by task:
        language_modeling: `tokens` int64 [B, T+1] (the language's tag, then a window of its messages, each followed by
            `<eos>`), `language` int64 [B] (index in `languages`), `bytes` int64 [B] (of the text that the targets stand
            for; `<eos>` counts as a line break).
        translation: `source` int64 [B, S], `target` int64 [B, T] (the tag first, `<eos>` last), `language` int64 [B],
            `reference` and `source_text` (lists of texts).
        language_identification: `input` int64 [B, S], `label` int64 [B].

    Args:
        package: an installed package with catalogues; default `django` (98 languages).
        folder: a folder with catalogues, in place of a package.
        languages: "core" (26 languages in 9 scripts), "all", or BCP 47 codes; the order gives the index in batches.
        task: what the batches are for.
        source: translation: the language to translate from into all others; added where `languages` lacks it.
        length: language modeling: targets a row, T; else the most tokens of a text.
        batch_size: rows a process and batch.
        vocabulary_size: rows of the vocabulary that is learned from the training split, and of networks.
        vocabulary: path of a `tokenizer.json`, in place of learning one. A checkpoint's own goes before both.
        sampling: the share of each language in what the vocabulary is learned from, and in an epoch.
        mask_placeholders: replace `%(name)s`, `{count}` and their kin by `{}`.
        seed: of the order of the training rows.
        cache_dir: where tokens and vocabularies are kept; default `lightning_tying` in the user's cache folder.

    Raises:
        ConfigError: an argument is out of range; the package, folder, languages or catalogues are missing (when read).
    """

    def __init__(
        self,
        package: str | None = "django",
        *,
        folder: str | None = None,
        languages: list[str] | str = "core",
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
        if package is None and folder is None:
            raise ConfigError("data: give a package (data.package: django) or a folder (data.folder) with catalogues.")
        self.package, self.folder = package, folder

    @override
    def read_messages(self) -> Messages:
        root = Path(self.folder).expanduser() if self.folder is not None else find_package(self.package or "")
        catalogs = find_catalogs(root)
        available = {"en", *(catalog.language for catalog in catalogs)}  # English is the ids, with or without a file
        where = f"the catalogues of {self.folder or self.package}"
        chosen = choose_languages(self.options.languages, available, where)
        return read_messages(catalogs, with_source(chosen, self.options, available, where))


def with_source(chosen: list[str], options: TextOptions, available: set[str], where: str) -> list[str]:
    """The languages of a run, the source first where translation needs it and it was not asked for.

    Raises:
        ConfigError: there is no source, or nothing to translate into.
    """
    if options.task != "translation":
        return chosen
    source: Sequence[str] = [] if options.source in chosen else choose_languages([options.source], available, where)
    languages = [*source, *chosen]
    if len(languages) < 2:
        raise ConfigError(f"data.languages: translation from {options.source!r} needs another language to go into.")
    return languages
