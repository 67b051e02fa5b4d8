"""Training of a vocabulary: texts of each language go in, a tokenizer comes out; one function for each strategy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from tokenizers import Tokenizer, models, trainers

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.pretokenizer import byte_alphabet, make_decoder, make_normalizer, make_pre_tokenizer
from lightning_tying.vocab.sampling import Sampling

Texts = Mapping[str, Sequence[str]]
Strategy = Callable[[Texts, int, Sampling], Tokenizer]

PAD = "<pad>"
EOS = "<eos>"


def language_tag(language: str) -> str:
    """The special token of a language, `<de>`."""
    return f"<{language}>"


def train_joint(texts: Texts, size: int, sampling: Sampling) -> Tokenizer:
    """One byte-level BPE over all languages together, each with its share of the text (Sennrich et al. 2016).

    Args:
        texts: the texts of each language, in the order in which the languages get their tags.
        size: the number of rows: special tokens, 256 bytes and merges together.
        sampling: the share of each language; its size is counted in characters.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = make_normalizer()
    tokenizer.pre_tokenizer = make_pre_tokenizer()
    tokenizer.decoder = make_decoder()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[PAD, EOS, *map(language_tag, texts)],
        initial_alphabet=byte_alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_sample(texts, sampling), trainer=trainer)
    return tokenizer


STRATEGIES: dict[str, Strategy] = {"joint": train_joint}


def check_request(texts: Texts, size: int) -> None:
    """Refuse what cannot become a vocabulary.

    Raises:
        ConfigError: no languages, a language without text, or fewer rows than the bytes and special tokens need.
    """
    if not texts:
        raise ConfigError("A vocabulary needs the texts of at least one language, and none was given.")
    empty = [language for language, lines in texts.items() if not any(lines)]
    if empty:
        raise ConfigError(f"A vocabulary needs text in every language; there is none in: {', '.join(empty)}.")
    least = 256 + 2 + len(texts)
    if size < least:
        raise ConfigError(
            f"A vocabulary of {size} rows is too small: 256 bytes, {PAD}, {EOS} and {len(texts)} language tags "
            f"need {least}; ask for more than that (8000 is a good start)."
        )


def _sample(texts: Texts, sampling: Sampling) -> Iterator[str]:
    sizes = {language: sum(map(len, lines)) for language, lines in texts.items()}
    wanted = sampling.counts(sizes, sum(sizes.values()))
    for language, lines in texts.items():
        # as many texts as bring the language's characters to its share: whole passes, then texts at even distances
        count = max(1, round(len(lines) * wanted[language] / sizes[language]))
        passes, rest = divmod(count, len(lines))
        for _ in range(passes):
            yield from lines
        yield from (lines[index * len(lines) // rest] for index in range(rest))
