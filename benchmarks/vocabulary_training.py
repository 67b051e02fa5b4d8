"""What does a shared vocabulary cost each language? Joint against parity, and sampling on an unbalanced corpus.

Every message is held out once: four folds by a hash of the message id, each with a vocabulary of its own; what the
languages pay for the held-out messages is summed over the folds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec

from benchmarks.measure import write_result
from lightning_tying.data import Catalogs
from lightning_tying.data.corpus import CONTEXT_END, Messages, align
from lightning_tying.data.messages import clean_text
from lightning_tying.vocab import Sampling, SharedVocabulary
from lightning_tying.vocab.measures.parity import gini
from lightning_tying.vocab.training.request import ParityOptions

FOLDS = 4
REFERENCE = "en"
UNBALANCED = "hass_frontend"
INSTALL = "pip install --no-deps home-assistant-frontend==20250109.2"

Texts = Mapping[str, list[str]]
Train = Callable[[Texts, Texts], SharedVocabulary]


@dataclass(frozen=True)
class Cost:
    """What the languages pay for held-out messages, and what the training took."""

    seconds: list[float]
    tokens: int
    premiums: Mapping[str, float]

    @property
    def worst(self) -> str:
        return max(self.premiums, key=lambda language: self.premiums[language])

    @property
    def largest(self) -> float:
        return self.premiums[self.worst]

    @property
    def gini(self) -> float:
        return gini(list(self.premiums.values())) or 0.0

    def row(self, name: str) -> str:
        mean = statistics.fmean(self.premiums.values())
        seconds = statistics.median(self.seconds)
        return (
            f"| {name} | {seconds:.2f} | {max(self.seconds):.2f} | {self.tokens:,} | {mean:.3f} "
            f"| {self.largest:.3f} ({self.worst}) | {self.gini:.4f} |"
        )


HEAD = (
    "| | seconds, median | slowest | tokens of held-out messages | premium, mean | largest | Gini |\n"
    "|---|---|---|---|---|---|---|"
)


def read_messages(package: str, languages: list[str] | str = "core") -> Messages:
    """The messages of a package's catalogues: language → key → text."""
    found = Catalogs(package, languages=languages).read_messages()
    return {language: {key: clean_text(text) for key, text in texts.items()} for language, texts in found.items()}


def measure(messages: Messages, train: Train, folds: Collection[int] = range(FOLDS)) -> Cost:
    """Learn on all folds but one, and count the tokens of that one; in turn, summed.

    A language pays for the messages that it has in common with English.
    """
    seconds: list[float] = []
    paid = {language: [0, 0] for language in messages}
    for fold in folds:
        held = {language: _fold_of(texts, fold) for language, texts in messages.items()}
        kept = {language: _without(texts, held[language]) for language, texts in messages.items()}
        texts = {language: list(dict.fromkeys(each.values())) for language, each in kept.items()}
        dev = {language: list(each.values()) for language, each in align(kept).items()}
        start = time.perf_counter()
        vocabulary = train(texts, dev)
        seconds.append(time.perf_counter() - start)
        for language, (own, reference) in _count(vocabulary, held).items():
            paid[language][0] += own
            paid[language][1] += reference
    premiums = {language: own / reference for language, (own, reference) in paid.items() if reference}
    return Cost(seconds, sum(own for own, _ in paid.values()), premiums)


def compare_strategies(messages: Messages, size: int, folds: Collection[int] = range(FOLDS)) -> dict[str, Cost]:
    """Joint BPE against parity-aware BPE in its variants."""
    costs = {"joint": measure(messages, lambda texts, _: SharedVocabulary.train(texts, size), folds)}
    for variant in ("base", "window", "hybrid"):

        def train(texts: Texts, dev: Texts, variant: str = variant) -> SharedVocabulary:
            return SharedVocabulary.train(texts, size, strategy="parity", dev=dev, parity=ParityOptions(variant))

        costs[f"parity, {variant}"] = measure(messages, train, folds)
    return costs


def compare_sampling(messages: Messages, size: int, folds: Collection[int] = range(FOLDS)) -> dict[float, Cost]:
    """Joint BPE with text in proportion to the sizes of the languages, and with alpha 0.3."""
    costs: dict[float, Cost] = {}
    for alpha in (1.0, 0.3):

        def train(texts: Texts, _: Texts, alpha: float = alpha) -> SharedVocabulary:
            return SharedVocabulary.train(texts, size, Sampling(alpha))

        costs[alpha] = measure(messages, train, folds)
    return costs


def _fold_of(texts: Mapping[str, str], fold: int) -> dict[str, str]:
    return {key: text for key, text in texts.items() if _number(key) == fold}


def _number(key: str) -> int:
    message = key.rpartition(CONTEXT_END)[2]
    core = "".join(filter(str.isalnum, message.casefold())) or message  # "Log in" and "Log in:" are one
    return sha256(core.encode()).digest()[0] % FOLDS


def _without(texts: Mapping[str, str], held: Mapping[str, str]) -> dict[str, str]:
    said = set(held.values())
    return {key: text for key, text in texts.items() if key not in held and text not in said}


def _count(vocabulary: SharedVocabulary, held: Messages) -> dict[str, tuple[int, int]]:
    """For each language the tokens of its messages, and those of the same messages in English."""
    lengths = {
        language: dict(zip(texts, map(len, vocabulary.encode_many(texts.values(), language)), strict=True))
        for language, texts in held.items()
    }
    base = lengths[REFERENCE]
    return {
        language: (sum(each[key] for key in each if key in base), sum(base[key] for key in each if key in base))
        for language, each in lengths.items()
    }


def write_strategies(costs: Mapping[str, Cost], size: int) -> str:
    rows = "\n".join(cost.row(name) for name, cost in costs.items())
    return (
        f"## Joint against parity\n\nCatalogues of Django, 26 languages, {size:,} rows.\n\n{HEAD}\n{rows}\n\n"
        "Goals: parity in less than 10 s, largest premium at most 1.15, Gini at most .025; joint at most 1.75 and .065."
    )


def write_sampling(costs: Mapping[float, Cost], size: int) -> str:
    rows = "\n".join(cost.row(f"alpha {alpha}") for alpha, cost in costs.items())
    before, after = costs[1.0], costs[0.3]
    largest, inequality = 1 - after.largest / before.largest, 1 - after.gini / before.gini
    return (
        f"## Sampling on an unbalanced corpus\n\nhome-assistant-frontend, {len(before.premiums)} languages, joint, "
        f"{size:,} rows.\n\n{HEAD}\n{rows}\n\nAlpha .3 lowers the largest premium by {largest:.0%} (goal: at least "
        f"25 %) and Gini by {inequality:.0%} (goal: at least 15 %)."
    )


def main() -> None:
    parts = [write_strategies(compare_strategies(read_messages("django"), 8000), 8000)]
    if find_spec(UNBALANCED) is None:
        parts.append(f"## Sampling on an unbalanced corpus\n\nNot measured: the corpus is not installed ({INSTALL}).")
    else:
        parts.append(write_sampling(compare_sampling(read_messages(UNBALANCED), 16_000), 16_000))
    intro = (
        "Four folds by a hash of the message id: each message is held out once. A premium is what a language pays for "
        "the held-out messages that it has in common with English, which pays 1."
    )
    write_result("vocabulary-training", "Training of shared vocabularies", "\n\n".join([intro, *parts]))


if __name__ == "__main__":
    main()
