"""What the same text costs in each language: parallel texts go in; premiums and their inequality come out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lightning_tying.vocab.measures.encoding import Encode, Messages, count_tokens


def is_parallel(messages: Messages) -> bool:
    """Whether equal keys mean translations, and are not just the texts themselves (as of separate files of lines).

    The ids of gettext's messages are the English texts, so one language may have its texts for keys.

    Args:
        messages: language → key → text.
    """
    named = (sum(key != text for key, text in texts.items()) * 2 > len(texts) for texts in messages.values() if texts)
    return len(messages) > 1 and any(named)


def premiums(encode: Encode, parallel: Messages, reference: str) -> dict[str, float]:
    """Tokenizer parity: what each language pays for text that costs the reference 1 token.

    ``P_l = Σ |T(s_l)| / Σ |T(s_ref)|`` over the messages that both have (Petrov et al. 2023, equation 1).

    Args:
        encode: of the vocabulary.
        parallel: language → key → text.
        reference: the language to compare with, a key of `parallel`.

    Returns:
        A number above 0 for each language that has a message in common with the reference, 1 for the reference.
    """
    found: dict[str, float] = {}
    base = parallel[reference]
    for language, texts in parallel.items():
        keys = [key for key in texts if key in base]
        least = count_tokens(encode, [base[key] for key in keys], reference)
        most = count_tokens(encode, [texts[key] for key in keys], language)
        if least and most:
            found[language] = most / least
    return found


def gini(costs: Sequence[float]) -> float | None:
    """The Gini coefficient, ``Σ_ij |c_i - c_j| / (2 n² μ)``: 0 where all languages pay the same.

    Premiums and tokens for each parallel line give the same number, as it does not change with the unit.

    Args:
        costs: what each language pays, at least 0.

    Returns:
        From 0 to 1; None where nothing is paid.
    """
    paid = np.asarray(costs, np.float64)
    if not paid.size or not paid.sum():
        return None
    return float(np.abs(paid[:, None] - paid[None, :]).sum() / (2 * paid.size**2 * paid.mean()))
