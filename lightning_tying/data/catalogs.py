"""Catalogs: the catalogues of an installed package or a folder go in, batches of aligned messages come out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import final

from typing_extensions import override

from lightning_tying.data.cache import cache_folder
from lightning_tying.data.catalog_files import find_catalogs, find_package, read_messages
from lightning_tying.data.corpus import Messages
from lightning_tying.data.json_catalogs import find_json_catalogs, read_json_messages
from lightning_tying.data.languages import choose_languages
from lightning_tying.data.message_cache import read_once
from lightning_tying.data.recipe import Recipe
from lightning_tying.data.text_data import TextData
from lightning_tying.data.text_options import DEFAULT_RECIPE, DEFAULT_SAMPLING, Task, TextOptions
from lightning_tying.errors import ConfigError
from lightning_tying.vocab import Sampling


@final
class Catalogs(TextData):
    """The messages of a program in all its languages: real text, aligned, and offline once the package is installed.

    Catalogues are gettext's, or JSON (those of `kolibri` and `home-assistant-frontend`; where a program has both, these
    are read). English is the message id, in JSON the catalogue `en`. Fuzzy, obsolete and untranslated entries are left
    out; of plurals the first form is taken. A hash of the message id decides between training (85 %), validation (5 %)
    and test (10 %), so that no message is in two splits in any language. Needs the package `polib` (extra `examples`).

    A batch is a dict, by task:
        language_modeling: `tokens` int64 [B, T+1] (the language's tag, then a window of its messages, each followed by
            `<eos>`), `language` int64 [B] (index in `languages`), `bytes` int64 [B] (of the text that the targets stand
            for; `<eos>` counts as a line break).
        translation: `source` int64 [B, S], `target` int64 [B, T] (its language's tag first, `<eos>` last), `language`
            and `source_language` int64 [B], `reference` and `source_text` (lists of texts). In training a batch holds
            rows of nearly one length.
        language_identification: `input` int64 [B, S], `label` int64 [B].

    Args:
        package: an installed package with catalogues; default `django` (98 languages).
        folder: a folder with catalogues, in place of a package.
        languages: "core" (26 languages in 9 scripts), "all", or BCP 47 codes; the order gives the index in batches.
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
        ConfigError: an argument is out of range; the package, folder, languages or catalogues are missing (when read).
    """

    def __init__(
        self,
        package: str | None = "django",
        *,
        folder: str | None = None,
        languages: list[str] | str = "core",
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
        if package is None and folder is None:
            raise ConfigError("data: give a package (data.package: django) or a folder (data.folder) with catalogues.")
        self.package, self.folder = package, folder

    @override
    def read_messages(self) -> Messages:
        root = Path(self.folder).expanduser() if self.folder is not None else find_package(self.package or "")
        json_catalogs = find_json_catalogs(root)
        catalogs = [] if json_catalogs else find_catalogs(root)
        available = {catalog.language for catalog in (*json_catalogs, *catalogs)}
        if not json_catalogs:
            available.add("en")  # the ids, with or without a file
        where = f"the catalogues of {self.folder or self.package}"
        chosen = choose_languages(self.options.languages, available, where)
        wanted = with_sources(chosen, self.options, available, where)
        files = [catalog.path for catalog in json_catalogs] or [
            path for catalog in catalogs for path in (catalog.compiled, catalog.source) if path is not None
        ]
        read = partial(read_json_messages, json_catalogs) if json_catalogs else partial(read_messages, catalogs)
        return read_once(files, wanted, cache_folder(self.options.cache_dir), lambda: read(wanted))


def with_sources(chosen: list[str], options: TextOptions, available: set[str], where: str) -> list[str]:
    """The languages of a run, first the sources and the pivot that translation needs and that were not asked for.

    Raises:
        ConfigError: there is no such source, or nothing to translate into.
    """
    if options.task != "translation":
        return chosen
    needed = [*options.asked_sources, *([options.pivot] if options.pivot else [])]
    missing = [language for language in dict.fromkeys(needed) if language not in chosen]
    added: Sequence[str] = choose_languages(missing, available, where) if missing else []
    languages = [*added, *chosen]
    if len(languages) < 2:
        raise ConfigError(f"data.languages: translation from {options.source!r} needs another language to go into.")
    return languages
