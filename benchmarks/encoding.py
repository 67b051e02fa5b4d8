"""What does encoding through the pipeline cost? Against a bare `encode_batch_fast`; remapping; a start from the cache.

Run it with `python -m benchmarks.encoding` (`--small` for a moment's run that shows that it works).
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from tokenizers import Tokenizer

from benchmarks.measure import Timing, ratio_by_round, time_in_turn, write_result
from lightning_tying.data import Catalogs
from lightning_tying.data.encode import encode_texts
from lightning_tying.data.recipe import Recipe
from lightning_tying.vocab.united_vocabulary import UnitedVocabulary
from lightning_tying.vocab.vocabulary import Vocabulary

Texts = Mapping[str, Sequence[str]]
DOCUMENT = 2000  # bytes


@dataclass(frozen=True)
class Size:
    """How much is encoded; the small one shows that it runs."""

    languages: tuple[str, ...] | str = "core"
    rows: int = 16000
    member: int = 2000
    rounds: int = 15


SMALL = Size(languages=("en", "de"), rows=600, member=300, rounds=2)


@dataclass(frozen=True)
class Outcome:
    """Timings of the bare call, the pipeline, members without and with remapping; the bytes of all texts."""

    timings: Mapping[str, Timing]
    size: int

    def speed(self, side: str) -> float:
        """Megabytes of UTF-8 a second."""
        return self.size / 1e6 / self.timings[side].median

    @property
    def pipeline(self) -> float:
        """The pipeline's speed as a part of the bare call's, median of the rounds' ratios."""
        return ratio_by_round(self.timings["bare"], self.timings["pipeline"]).median

    @property
    def remapping(self) -> float:
        """What remapping adds to the time of encoding by members, median of the rounds' ratios."""
        return ratio_by_round(self.timings["united"], self.timings["members"]).median - 1


def join_documents(texts: Sequence[str], size: int = DOCUMENT) -> list[str]:
    """The texts, one a line, as documents of about `size` bytes."""
    documents: list[str] = []
    lines: list[str] = []
    length = 0
    for text in texts:
        lines.append(text)
        length += len(text.encode()) + 1
        if length >= size:
            documents.append("\n".join(lines))
            lines, length = [], 0
    return [*documents, "\n".join(lines)] if lines else documents


def encode_all(texts: Texts, vocabulary: Vocabulary) -> int:
    """Encode as the token store does; returns the number of tokens."""
    return sum(len(ids) for language, own in texts.items() for _, ids in encode_texts(own, vocabulary, language))


def encode_members(texts: Texts, united: UnitedVocabulary) -> int:
    """Encode each language with its own vocabulary, ids as they are."""
    return sum(
        len(ids) for language, own in texts.items() for _, ids in encode_texts(own, united.members[language], language)
    )


def measure(texts: Texts, shared: Vocabulary, united: UnitedVocabulary, rounds: int) -> Outcome:
    """Time all sides in turn over the same lists."""
    tokenizer = Tokenizer.from_str(shared.to_json())
    sides = {
        "bare": lambda: [tokenizer.encode_batch_fast(list(own), add_special_tokens=False) for own in texts.values()],
        "pipeline": lambda: encode_all(texts, shared),
        "members": lambda: encode_members(texts, united),
        "united": lambda: encode_all(texts, united),
    }
    size = sum(len(text.encode()) for own in texts.values() for text in own)
    return Outcome(time_in_turn(sides, rounds), size)


def time_start(size: Size, folder: str) -> float:
    """Seconds from a new datamodule to its first batch."""
    start = time.perf_counter()
    data = Catalogs(languages=_words(size), vocabulary_size=size.rows, cache_dir=folder)
    data.setup("fit")
    next(iter(data.train_dataloader()))
    return time.perf_counter() - start


def main(size: Size | None = None) -> None:
    """Measure everything and write the result page."""
    size = size or Size()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    package = "home-assistant-frontend" if find_spec("hass_frontend") is not None else "django"
    shared = Catalogs(package, languages=_words(size), vocabulary_size=size.rows)
    shared.setup("fit")
    texts = shared.split_text("train")
    recipe = Recipe(strategy="per_language", member_size=size.member)
    members = Catalogs(package, languages=_words(size), vocabulary_size=size.member * len(texts), recipe=recipe)
    members.setup("fit")
    united = members.vocabulary
    if shared.vocabulary is None or not isinstance(united, UnitedVocabulary):
        raise RuntimeError("the data were set up before")
    documents = {language: join_documents(own) for language, own in texts.items()}
    lines = measure(texts, shared.vocabulary, united, size.rounds)
    long = measure(documents, shared.vocabulary, united, size.rounds)
    with tempfile.TemporaryDirectory() as folder:
        first, second = time_start(size, folder), time_start(size, folder)
    write_result("encoding", "Encoding through the pipeline", make_page(package, size, lines, long, (first, second)))


def make_page(package: str, size: Size, lines: Outcome, long: Outcome, starts: tuple[float, float]) -> str:
    """The page's text."""
    rows = "\n".join(
        f"| {name} | {found.speed('bare'):.2f} | {found.speed('pipeline'):.2f} | {found.pipeline:.3f} "
        f"| {found.speed('members'):.2f} | {found.speed('united'):.2f} | {100 * found.remapping:+.2f} % |"
        for name, found in (("lines", lines), ("documents of 2 kB", long))
    )
    return (
        f"Texts of {package}, {lines.size / 1e6:.2f} MB; {size.rows:,} rows, members of {size.member:,}; "
        f"{size.rounds} rounds in turn; megabytes of UTF-8 a second. The pipeline gives flat int32 arrays with the end "
        "of each text, as the token store keeps them; the bare call leaves its result inside `tokenizers`. Goals: at "
        "least 0.95 of the bare call's speed, remapping below 2 %, a second start below 1 s.\n\n"
        "| | bare `encode_batch_fast` | pipeline | ratio | members' own ids | united rows | remapping |\n"
        f"|---|---|---|---|---|---|---|\n{rows}\n\n"
        f"From a new datamodule over Django's catalogues to its first batch: {starts[0]:.2f} s, "
        f"and **{starts[1]:.2f} s** from the cache.\n"
    )


def _words(size: Size) -> list[str] | str:
    return size.languages if isinstance(size.languages, str) else list(size.languages)


if __name__ == "__main__":
    main(SMALL if "--small" in sys.argv else None)
