"""Docstrings: installed packages go in, batches of docstring bodies with their summary lines come out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import final

from typing_extensions import override

from lightning_tying.data.cache import cache_folder
from lightning_tying.data.corpus import SPLITS, Messages, Split
from lightning_tying.data.docstring_files import BODY, SUMMARY, find_python_files, read_docstrings
from lightning_tying.data.installed import find_installed
from lightning_tying.data.message_cache import read_once
from lightning_tying.data.recipe import check_word
from lightning_tying.data.row_source import RowSource
from lightning_tying.data.text_data import TextData
from lightning_tying.data.text_options import DEFAULT_RECIPE, TextOptions
from lightning_tying.errors import ConfigError
from lightning_tying.vocab import Sampling

PACKAGES = ("numpy", "scipy", "sklearn")
_MODULES = {"scikit-learn": "sklearn"}  # as one installs it → as one imports it


@final
class Docstrings(TextData):
    """Summarization offline: the body of a docstring is the source, its summary line the target.

    The Python files of installed packages are read and never run or imported. A docstring counts where its first
    paragraph has 3 to 24 words and something follows. A hash of the file's name decides between training (85 %),
    validation (5 %) and test (10 %), so that the docstrings of one file are in one split; bodies and summaries that an
    earlier split has word for word are dropped from a later one.

    Batches are those of translation from the language `body` into the language `summary`: `source` int64 [B, S],
    `target` int64 [B, T] (the tag `<summary>` first, `<eos>` last), `language`, `source_language` int64 [B],
    `reference`, `source_text`. In training a batch holds rows of nearly one length. The task is `Translation`.

    Args:
        packages: installed packages, as one imports them; one name, or several.
        folder: a folder with Python files, in place of packages.
        words: the most words of a body; the rest is cut.
        length: the most tokens of a side; in training pairs with more are left out.
        batch_size: rows a process and batch.
        max_tokens: fill training batches up to this many padded tokens a process, in place of `batch_size` rows.
        vocabulary_size: rows of the vocabulary, and of networks.
        vocabulary: path of a `tokenizer.json` with tags for `body` and `summary`, in place of learning.
        seed: of the order of the training rows.
        cache_dir: where tokens and vocabularies are kept; default `lightning_tying` in the user's cache folder.

    Raises:
        ConfigError: an argument is out of range; a package or folder is missing or has no docstrings (when read).
    """

    def __init__(
        self,
        packages: Sequence[str] | str = PACKAGES,
        *,
        folder: str | None = None,
        words: int = 48,
        length: int = 128,
        batch_size: int = 32,
        max_tokens: int | None = None,
        vocabulary_size: int = 4000,
        vocabulary: str | None = None,
        seed: int = 0,
        cache_dir: str | None = None,
    ) -> None:
        options = TextOptions(
            languages=[BODY, SUMMARY],
            task="translation",
            source=BODY,
            through=None,
            length=length,
            max_tokens=max_tokens,
            vocabulary_size=vocabulary_size,
            source_vocabulary_size=None,
            vocabulary=vocabulary,
            recipe=DEFAULT_RECIPE,
            sampling=Sampling(alpha=1.0),  # both sides are one language
            mask_placeholders=False,
            cache_dir=cache_dir,
        )
        super().__init__(options, batch_size, seed)
        if words < 1:
            raise ConfigError(f"data.words is {words}; a body needs at least 1 word.")
        self.packages = [packages] if isinstance(packages, str) else list(packages)
        self.folder, self.words = folder, words
        if folder is None and not self.packages:
            raise ConfigError("data.packages is empty; give installed packages, or data.folder with Python files.")

    @override
    def rows(self, split: Split) -> RowSource:
        check_word("The split", split, SPLITS)
        return super().rows(split)

    @override
    def read_messages(self) -> Messages:
        files = [(path, name) for root in self._roots() for path, name in _named_files(root)]
        cache = cache_folder(self.options.cache_dir)
        found = read_once((path for path, _ in files), [BODY, SUMMARY], cache, lambda: read_docstrings(files))
        if not found[SUMMARY]:
            raise ConfigError(
                f"data: the {len(files)} Python files of {self.folder or ', '.join(self.packages)} have no docstring "
                "with a summary line and more below it; give other packages."
            )
        bodies = {key: " ".join(text.split()[: self.words]) for key, text in found[BODY].items()}
        return {BODY: bodies, SUMMARY: found[SUMMARY]}

    def _roots(self) -> list[Path]:
        if self.folder is not None:
            return [Path(self.folder).expanduser()]
        names = dict.fromkeys(_MODULES.get(name, name) for name in self.packages)
        return [find_installed(name, "data.packages") for name in names]


def _named_files(root: Path) -> list[tuple[Path, str]]:
    """Each file with a name that is the same on every machine: below the folder that the root lies in."""
    return [(path, path.relative_to(root.parent).as_posix()) for path in find_python_files(root)]
