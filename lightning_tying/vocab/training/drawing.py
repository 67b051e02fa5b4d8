"""Drawing of texts: the texts of each language and their shares go in, each text with its count comes out."""

from __future__ import annotations

from collections.abc import Iterator

from lightning_tying.vocab.pretokenizer import make_whole
from lightning_tying.vocab.sampling import Sampling
from lightning_tying.vocab.training.request import Progress, Texts

READING = "reading texts"
LEARNING = "learning pieces"
_STEP = 1000


def draw_languages(texts: Texts, sampling: Sampling) -> Iterator[Iterator[tuple[str, int]]]:
    """For each language each text that is drawn with how often; nothing is left to chance.

    As many texts as bring the language's characters to its share: whole passes, then texts at even distances.

    Args:
        texts: the texts of each language.
        sampling: the share of each language; all together are about as many characters as there are.
    """
    sizes = {language: sum(map(len, lines)) for language, lines in texts.items()}
    wanted = sampling.counts(sizes, sum(sizes.values()))
    for language, lines in texts.items():
        count = max(1, round(len(lines) * wanted[language] / sizes[language]))
        passes, rest = divmod(count, len(lines))
        once_more = {index * len(lines) // rest for index in range(rest)}
        times = (passes + (index in once_more) for index in range(len(lines)))
        yield ((make_whole(line), number) for line, number in zip(lines, times, strict=True) if number)


def draw_texts(texts: Texts, sampling: Sampling) -> Iterator[tuple[str, int]]:
    """Each drawn text of all languages with how often, in the given order."""
    for drawn in draw_languages(texts, sampling):
        yield from drawn


def repeat_texts(texts: Texts, sampling: Sampling, progress: Progress) -> Iterator[str]:
    """Each drawn text as often as it is drawn."""
    total = sum(map(len, texts.values()))
    for number, (text, times) in enumerate(draw_texts(texts, sampling)):
        if number % _STEP == 0:
            progress(READING, number, total)
        for _ in range(times):
            yield text
    progress(LEARNING, 0, 0)
