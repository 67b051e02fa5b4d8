"""The figures of a vocabulary in; one plain sentence about each language, the worst first, out."""

from __future__ import annotations

from lightning_tying.reports.vocabulary.figures import LanguageFigures, VocabularyFigures

DEAR, HIGH, LOW = 1.5, 1.15, 0.9  # premiums
LOST = 0.02  # share of texts


def advise(figures: VocabularyFigures) -> list[str]:
    """Say of each language what is worst about it, and what to do.

    Args:
        figures: of a vocabulary.
    """
    return [f"{each.language}: {_advise(each, figures.reference)}." for each in figures.languages]


def _advise(figures: LanguageFigures, reference: str | None) -> str:
    if figures.unknown:
        return (
            f"{percent(figures.unknown)} of its tokens are unknown; train with bytes as pieces (byte-level BPE, or "
            "Unigram with byte fallback), or add texts of this language"
        )
    if figures.round_trip is not None and figures.round_trip < 1 - LOST:
        return (
            f"{percent(1 - figures.round_trip)} of its texts do not come back as they were; compare the normalizer and "
            "the blanks at the beginning, and use NFC without a prefix blank where text must be kept"
        )
    if figures.premium is None or reference is None:
        return _describe_length(figures)
    return _judge_premium(figures, figures.premium, reference)


def _judge_premium(figures: LanguageFigures, premium: float, reference: str) -> str:
    if figures.language == reference:
        return f"the reference; a token holds {_number(figures.bytes_per_token)} bytes"
    told = f"it pays {premium:.2f} tokens where {reference} pays 1"
    if premium >= DEAR:
        return f"{told}; train with `strategy: parity`, or give it more text or a smaller `alpha`"
    if premium > HIGH:
        return f"{told}; `strategy: parity` would lower this"
    if premium < LOW:
        return f"{told}; it is the {reference} side that pays more here"
    return f"{told}; nothing to do"


def _describe_length(figures: LanguageFigures) -> str:
    return f"a token holds {_number(figures.bytes_per_token)} bytes; parallel texts would tell what that costs"


def percent(share: float | None) -> str:
    """`71 %`, with a decimal below 10; `-` where it is not defined."""
    if share is None:
        return "-"
    return f"{100 * share:.0f} %" if share >= 0.1 or share == 0 else f"{100 * share:.1f} %"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
