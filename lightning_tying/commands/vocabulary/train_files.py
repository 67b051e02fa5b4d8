"""What `vocab train` writes: a config and its texts go in; the content of each file, and a summary, come out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, final

import yaml

from lightning_tying.commands.vocabulary.train_config import MADE, TrainConfig
from lightning_tying.commands.vocabulary.train_corpus import TrainTexts
from lightning_tying.commands.vocabulary.train_keys import PER_LANGUAGE
from lightning_tying.reports.vocabulary.figures import VocabularyFigures
from lightning_tying.reports.vocabulary.html import to_html
from lightning_tying.reports.vocabulary.measure import measure_vocabulary
from lightning_tying.reports.vocabulary.render import to_json, to_markdown
from lightning_tying.vocab.rows.make import make_row_map
from lightning_tying.vocab.rows.united_files import FOLDER, united_files
from lightning_tying.vocab.shared_vocabulary import SharedVocabulary
from lightning_tying.vocab.training.members import train_members
from lightning_tying.vocab.training.request import Progress, TrainingRequest
from lightning_tying.vocab.training.strategies import default_pretokenizer, train_tokenizer
from lightning_tying.vocab.united_vocabulary import UnitedVocabulary
from lightning_tying.vocab.vocabulary import Vocabulary
from lightning_tying.whole_files import write_together

TOKENIZER, RESOLVED = "tokenizer.json", "vocab.yaml"
_HEAD = "# Written by `lightning-tying vocab train`, which reads it again: --config {name}\n"
_PACKAGES = ("lightning-tying", "tokenizers", "sentencepiece")


@final
@dataclass(frozen=True)
class Made:
    """What a training gives.

    Args:
        files: path → content.
        summary: a few lines about it.
    """

    files: Mapping[Path, bytes]
    summary: str


@final
@dataclass(frozen=True)
class _Learned:
    """A vocabulary, its own files, and what was decided on the way."""

    vocabulary: Vocabulary
    files: Mapping[Path, bytes]
    details: Mapping[str, Any]


def make_files(config: TrainConfig, texts: TrainTexts, folder: Path, progress: Progress) -> Made:
    """Learn, measure, and say what is to be written.

    Args:
        config: what to learn, and how.
        texts: what to learn from.
        folder: where the files will lie.
        progress: told what is being done.

    Raises:
        ConfigError: the texts do not give such a vocabulary.
    """
    learned = _learn_members(config, texts, folder, progress) if config.strategy == PER_LANGUAGE else None
    learned = learned or _learn_one(config, texts, folder, progress)
    progress("measuring", 0, 0)
    held_out = {language: list(messages.values()) for language, messages in texts.held_out.items()}
    figures = measure_vocabulary(learned.vocabulary, held_out, texts.held_out, corpus=texts.messages)
    pages = {"report.json": to_json(figures), "report.md": to_markdown(figures), "report.html": to_html(figures)}
    files = {
        **learned.files,
        **{folder / name: f"{page.rstrip()}\n".encode() for name, page in pages.items()},
        folder / RESOLVED: _resolve(config, texts, learned).encode(),
    }
    return Made(files, _summarize(config, learned.vocabulary, figures, folder))


def write_files(files: Mapping[Path, bytes], folder: Path) -> None:
    """Write all files or none, and remove what an earlier training of another strategy left.

    Raises:
        ConfigError: a file cannot be written.
    """
    write_together(files)
    for name in (TOKENIZER, "rows.safetensors", "rows.json"):
        if folder / name not in files:
            (folder / name).unlink(missing_ok=True)
    for path in (folder / FOLDER).glob("*.json"):
        if path not in files:
            path.unlink()


def _learn_one(config: TrainConfig, texts: TrainTexts, folder: Path, progress: Progress) -> _Learned:
    request = TrainingRequest(
        texts.texts,
        config.size,
        config.sampling,
        config.pretokenizer or default_pretokenizer(config.strategy),
        texts.dev() if config.strategy == "parity" else None,
        config.parity,
        config.clusters,
        progress,
    )
    trained = train_tokenizer(request, config.strategy)
    vocabulary = SharedVocabulary(trained.tokenizer, asked=config.size)
    return _Learned(vocabulary, {folder / TOKENIZER: vocabulary.to_json().encode()}, trained.details)


def _learn_members(config: TrainConfig, texts: TrainTexts, folder: Path, progress: Progress) -> _Learned:
    members = train_members(
        texts.texts, config.size, config.members, pretokenizer=config.pretokenizer, progress=progress
    )
    progress("uniting", 0, 0)
    rows = make_row_map(members, config.policy, parallel=texts.messages)
    vocabulary = UnitedVocabulary(members, rows)
    details = {"rows": rows.n_rows, "rows_saved": rows.saved}
    return _Learned(vocabulary, united_files(members, rows, folder), details)


def _resolve(config: TrainConfig, texts: TrainTexts, learned: _Learned) -> str:
    """The whole config, and what made the vocabulary."""
    made = {
        "versions": {name: found for name in _PACKAGES if (found := _version(name)) is not None},
        "corpus": {
            "digest": texts.digest,
            **({"version": _version(config.source[1])} if config.source[0] == "package" else {}),
            "training_texts": {language: len(lines) for language, lines in texts.texts.items()},
        },
        "digest": learned.vocabulary.digest,
        "rows": learned.vocabulary.size,
        **learned.details,
    }
    content = {**config.to_data(), "languages": list(texts.texts), MADE: made}
    return _HEAD.format(name=RESOLVED) + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _summarize(config: TrainConfig, vocabulary: Vocabulary, figures: VocabularyFigures, folder: Path) -> str:
    languages = len(figures.languages)
    lines = [f"{config.strategy}: {vocabulary.size:,} rows for {languages} languages in {folder}"]
    if config.strategy != PER_LANGUAGE and vocabulary.size < config.size:
        lines.append(f"{config.size:,} rows were asked for; the texts have no more pieces.")
    if figures.premium_max is not None and figures.gini is not None:
        paid = f"largest premium {figures.premium_max:.2f} (against {figures.reference}), Gini {figures.gini:.3f}"
        lines.append(f"held-out messages: {paid}")
    return "\n".join([*lines, f"report: {folder / 'report.html'}"])
