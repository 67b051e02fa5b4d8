"""The cosines of the uses of a sharing group over several samples in; a split along their clusters out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from lightning_tying.callbacks.adaptive.clusters import find_clusters, find_gap, measure_pairs
from lightning_tying.callbacks.adaptive.policy import Policy, require_names, require_whole
from lightning_tying.callbacks.adaptive.view import Cosines, GroupView, Proposal, View, choose, is_meant
from lightning_tying.errors import ConfigError


class SplitOnConflict(Policy):
    """Splits a group whose uses pull apart sample after sample, along the clusters that they form.

    The gradient of each use is caught at sampled steps (Yu et al. 2020, arXiv:2001.06782, call a negative cosine a
    conflict). Over the last samples, uses are clustered by their mean cosine (average linkage); clusters stay apart
    where it is below `-threshold` by more than two standard errors. Batch noise brings cosines near 0. Uses that want
    slightly different values cancel at the optimum of their sum, where the cosines of K uses have the mean
    -1 / (K - 1): in a group of few uses that trains to its end, a threshold above that keeps them together.

    Args:
        threshold: of the conflict, 0 to 1.
        samples: how many sampled steps it is judged by.
        every_n_steps: which steps are sampled: one in so many.
        groups: names in which `*` is any text; None for all that are shared.
        max_parts: of one split; the nearest clusters stay together where there would be more. None for any number.

    Raises:
        ConfigError: an argument is wrong, or the group could be split at every step.
    """

    def __init__(
        self,
        threshold: float = 0.1,
        samples: int = 8,
        every_n_steps: int = 25,
        groups: str | list[str] | None = None,
        max_parts: int | None = None,
    ) -> None:
        if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold < 1:  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
            raise ConfigError(f"SplitOnConflict: threshold is a number from 0 up to 1, not {threshold!r}.")
        self.threshold = float(threshold)
        self.samples = require_whole("SplitOnConflict", "samples", samples, 2)
        self.every_n_steps = require_whole("SplitOnConflict", "every_n_steps", every_n_steps, 1)
        self.groups = require_names("SplitOnConflict", groups)
        self.max_parts = 0 if max_parts is None else require_whole("SplitOnConflict", "max_parts", max_parts, 2)
        self.check_pause()

    @override
    def check(self, view: View) -> None:
        found = choose(view.groups, self.groups, "SplitOnConflict")
        if not view.history and not any(len(each.sites) > 1 for each in found):
            raise ConfigError("SplitOnConflict: nothing is shared that could conflict. Give the model a sharing spec.")

    @override
    def propose(self, view: View) -> Sequence[Proposal]:
        found: list[Proposal] = []
        for group in (each for each in view.groups if is_meant(each, self.groups)):
            kept = view.samples.get(group.identity, ())[-self.samples :]
            if group.trained and len(group.sites) > 1 and len(kept) == self.samples:
                proposal = judge_conflict(group, kept, self.threshold, self.max_parts)
                found += [] if proposal is None else [proposal]
        return sorted(found, key=lambda each: (each.evidence["between"], each.groups[0].name))

    @override
    def shrink(self, proposal: Proposal, view: View, parts: int) -> Proposal | None:
        group = proposal.groups[0]
        return judge_conflict(group, view.samples[group.identity][-self.samples :], self.threshold, parts)


def judge_conflict(
    group: GroupView, samples: Sequence[Cosines], threshold: float, max_parts: int = 0
) -> Proposal | None:
    """A split along the clusters of a group's uses; None where they do not conflict.

    Args:
        group: with K sites.
        samples: K × K cosines, of each sampled step.
        threshold: of the conflict.
        max_parts: of the split; 0 for any number.
    """
    pairs = measure_pairs(samples)
    clusters = find_clusters(pairs, threshold, max_parts)
    if len(clusters) < 2:
        return None
    within, between = find_gap(pairs, clusters)
    parts = tuple(tuple(group.sites[use] for use in cluster) for cluster in clusters)
    evidence: dict[str, Any] = {
        "samples": len(samples),
        "threshold": threshold,
        "within": within,
        "between": between,
        "sites": list(group.sites),
        "cosines": [[pair.mean for pair in row] for row in pairs],
        "errors": [[pair.error for pair in row] for row in pairs],
    }
    sizes = " + ".join(str(len(part)) for part in parts)
    reason = (
        f"its {len(group.sites)} uses pull apart as {sizes}: mean cosine {between:.2f} between them, at most, over "
        f"{len(samples)} samples"
    )
    return Proposal("split", (group,), reason, evidence, parts)
