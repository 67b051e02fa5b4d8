"""What does it save to unite vocabularies, and what does one tokenizer of all cost? The catalogues of Django.

Run it with `python -m benchmarks.uniting`; it takes about half a minute.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.measure import Timing, time_in_turn, write_result
from lightning_tying.data import Catalogs
from lightning_tying.data.corpus import Messages, split_messages
from lightning_tying.vocab import SharedVocabulary
from lightning_tying.vocab.rows.make import make_row_map
from lightning_tying.vocab.rows.row_map import RowMap
from lightning_tying.vocab.united_vocabulary import UnitedVocabulary
from lightning_tying.vocab.uniting.unite import unite_tokenizers

SIZE = 2_000
GROUPS = ("ru uk", "ru uk bg", "es pt", "es pt it fr", "de nl sv en", "zh ja ko", "ru el he ja hi")
Texts = Mapping[str, Sequence[str]]
Members = Mapping[str, SharedVocabulary]


@dataclass(frozen=True)
class Union:
    """What one union of vocabularies gave.

    Args:
        rows: the row map by surface.
        seconds: of making the row map, and of making one tokenizer.
        separate: tokens of the held-out texts, each cut by its own language's tokenizer.
        together: the same cut by the one tokenizer.
    """

    rows: RowMap
    seconds: tuple[float, float]
    separate: int
    together: int

    @property
    def cost(self) -> float:
        """Tokens of the one tokenizer above the separate ones, as a share."""
        return self.together / self.separate - 1


def read_corpus(languages: list[str] | str = "core") -> tuple[Messages, Messages]:
    """The training and the test messages by language."""
    corpus = split_messages(Catalogs(languages=languages).read_messages(), unique=True)
    return corpus.splits["train"], corpus.splits["test"]


def train(messages: Messages, size: int) -> dict[str, SharedVocabulary]:
    """A vocabulary for each language."""
    return {code: SharedVocabulary.train({code: list(texts.values())}, size) for code, texts in messages.items()}


def unite(members: Members, held_out: Messages) -> Union:
    """Unite vocabularies and count what the held-out texts cost."""
    start = time.perf_counter()
    rows = make_row_map(members)
    middle = time.perf_counter()
    tokenizer = unite_tokenizers(members, rows)
    seconds = middle - start, time.perf_counter() - middle
    known, one = UnitedVocabulary(members, rows), SharedVocabulary(tokenizer)
    texts = {code: list(held_out[code].values()) for code in members}
    separate = sum(len(ids) for code, own in texts.items() for ids in known.encode_many(own, code))
    return Union(rows, seconds, separate, sum(len(ids) for own in texts.values() for ids in one.encode_many(own)))


def time_encoding(members: Members, messages: Messages, rounds: int = 9) -> dict[str, Timing]:
    """Seconds of encoding one member's texts into its own ids, and into rows."""
    code = next(iter(members))
    united = UnitedVocabulary(members, make_row_map(members))
    texts = list(messages[code].values()) * 5
    sides = {
        "ids of the member": lambda: members[code].encode_many(texts),
        "rows": lambda: united.encode_many(texts, code),
    }
    return time_in_turn(sides, rounds)


def _row(name: str, union: Union) -> str:
    rows = union.rows
    return (
        f"| {name} | {rows.n_ids:,} | {rows.n_rows:,} | {rows.saved_share:.1%} | {union.separate:,} | "
        f"{union.together:,} | {union.cost:+.1%} | {union.seconds[0]:.2f} + {union.seconds[1]:.2f} s |"
    )


def main() -> None:
    learned, held_out = read_corpus()
    members = train(learned, SIZE)
    unions = {f"{len(members)} languages": unite(members, held_out)}
    for group in GROUPS:
        unions[group] = unite({code: members[code] for code in group.split()}, held_out)
    similar = make_row_map(members, "surface_similar", parallel=learned)
    timings = time_encoding(members, learned)
    head = [
        "| members | ids | rows | saved | tokens, separate | tokens, one tokenizer | cost | row map + tokenizer |",
        "|---|---|---|---|---|---|---|---|",
    ]
    sides = "\n".join(f"* {name}: {timing}" for name, timing in timings.items())
    table = "\n".join([*head, *(_row(name, union) for name, union in unions.items())])
    write_result(
        "uniting",
        "Uniting vocabularies",
        f"Byte-level BPE of {SIZE:,} rows for each language, learned from the training messages of Django's "
        "catalogues; tokens of the held-out messages. `separate`: each language's own tokenizer, language known, ids "
        "as rows of one table. `one tokenizer`: merges by rank, words that are a piece stay whole, no language "
        f"needed.\n\n{table}\n\nWithout false friends (`surface_similar`): {similar.n_rows:,} rows.\n\n"
        f"Encoding lines:\n\n{sides}",
    )


if __name__ == "__main__":
    main()
