"""A `Sync` in, the plain content of its entry out: what is not the default, in the order of the language reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lightning_tying.spec.nodes import PlainData, Sync, SyncWeights
from lightning_tying.spec.patterns import Pattern


def sync_to_data(sync: Sync) -> dict[str, PlainData]:
    """The entry that reads back as this sync."""
    written: dict[str, PlainData] = {
        "every": sync.every,
        "over": sync.over or None,
        "from": None if sync.source is None else sync.source.text,
        "file": sync.file,
        "weights": None if sync.weights == "uniform" else _weights_to_data(sync.weights),
        "moments": None if sync.moments == "keep" else sync.moments,
        "decay": sync.decay if sync.how == "ema" else None,
        "rate": sync.rate if sync.how == "lookahead" else None,
        "then": sync.then,
        "except": _patterns_to_data(sync.excluded) if sync.excluded else None,
    }
    start: dict[str, PlainData] = {"sync": _patterns_to_data(sync.sites), "how": sync.how}
    return start | {key: value for key, value in written.items() if value is not None}


def _weights_to_data(weights: SyncWeights) -> PlainData:
    if isinstance(weights, str):
        return weights
    if isinstance(weights, Mapping):
        return dict(weights)
    return [list(each) if isinstance(each, tuple) else each for each in weights]


def _patterns_to_data(patterns: Sequence[Pattern]) -> PlainData:
    return patterns[0].text if len(patterns) == 1 else [pattern.text for pattern in patterns]
