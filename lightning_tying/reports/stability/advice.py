"""The records of a run in; one sentence for each family of sharing groups out, the worst first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from lightning_tying.reports.stability.pair_table import list_pairs
from lightning_tying.reports.stability.record import Record
from lightning_tying.reports.stability.signs import is_conflict, is_dominated
from lightning_tying.reports.stability.suggest import suggest_sharing
from lightning_tying.reports.stability.summary import GroupSummary, mean_of, summarize
from lightning_tying.reports.stability.use_names import number_uses

FEWEST = 2  # samples


def advise(records: Iterable[Record]) -> list[str]:
    """Say of each family of sharing groups what is worst in it, and what to do: `block[…]: layers 0 and 11 conflict …`.

    Args:
        records: of one run.
    """
    return advise_families(summarize(records))


def advise_families(summaries: Sequence[GroupSummary]) -> list[str]:
    """A sentence for each family, in the order of their worst groups; a family of one group goes by its name.

    Args:
        summaries: of all groups, the worst first.
    """
    families: dict[str, list[GroupSummary]] = {}
    for summary in summaries:
        families.setdefault(summary.group.partition("[")[0], []).append(summary)
    return [
        f"{members[0].group if len(members) == 1 else f'{family}[…]'}: {_advise(members, members)}"
        for family, members in families.items()
    ]


def advise_group(summary: GroupSummary, family: Sequence[GroupSummary] = ()) -> str:
    """One sentence about one group.

    Args:
        summary: of the group.
        family: the summaries of all groups of its family, by which an assignment of layers is suggested.
    """
    return f"{summary.group}: {_advise([summary], family or [summary])}"


def _advise(members: Sequence[GroupSummary], family: Sequence[GroupSummary]) -> str:
    sentences = (_not_finite, _spike, _fast)
    alarm = next((told for tell in sentences for each in members if (told := tell(each))), None)
    return alarm or _conflict(members, family) or _dominated(members) or _cancel(members) or _fine(members)


def _not_finite(summary: GroupSummary) -> str:
    if not summary.nonfinite:
        return ""
    step, use = summary.nonfinite[0]
    first = f", first in {use}" if use else ""
    return f"the gradient was not finite at step {step}{first}; consider {_slower(summary)}, or clip gradients"


def _spike(summary: GroupSummary) -> str:
    if not summary.spikes:
        return ""
    steps = f"step {summary.spikes[0]}" if len(summary.spikes) == 1 else f"{len(summary.spikes)} samples"
    return f"the gradient's norm jumped at {steps}; consider {_slower(summary)}, or clip gradients"


def _fast(summary: GroupSummary) -> str:
    if not summary.fast:
        return ""
    moved = f"step {summary.fast[0]} moved it by more than half its size"
    return f"{moved}; consider {_slower(summary)}"


def _slower(summary: GroupSummary) -> str:
    family = summary.group.partition("[")[0]
    written = f" (`parameters: {{{family}: {{lr: 0.1}}}}`)" if family.isidentifier() else ""  # a tie has no name there
    return f"a lower learning rate for it{written}"


def _conflict(members: Sequence[GroupSummary], family: Sequence[GroupSummary]) -> str:
    pairs = list_pairs(members)
    apart = [pair for pair in pairs if is_conflict(pair.conflict, pair.cosine, pair.error)]
    if not apart or max(each.samples for each in members) < FEWEST:
        return ""
    worst = max(apart, key=lambda pair: (pair.conflict, -pair.cosine))
    consider = suggest_sharing([number_uses(each.uses) for each in family], list_pairs(family))
    return f"{worst.names} conflict in {_percent(worst.conflict)} of samples; consider {consider}"


def _dominated(members: Sequence[GroupSummary]) -> str:
    found = next((each for each in members if is_dominated(each.shares)), None)
    if found is None:
        return ""
    use = found.uses[found.shares.index(found.dominance)]
    scale = "consider a smaller one for that use, `grad: {scale: 0.5}`"
    return f"{use} has {_percent(found.dominance)} of the gradient; {scale}"


def _cancel(members: Sequence[GroupSummary]) -> str:
    worst = max(members, key=lambda each: each.cancellation)
    if worst.cancellation < 0.5 or worst.samples < FEWEST:
        return ""
    lost = f"its {len(worst.uses)} uses cancel each other (coherence {worst.kappa:.2f})"
    return f"{lost}; consider measuring pairs to see which (`pairs: exact`)"


def _fine(members: Sequence[GroupSummary]) -> str:
    kappa = mean_of(each.kappa for each in members)
    if math.isnan(kappa):
        return "its gradients were 0 in all samples; nothing can be said of them"
    alone = mean_of(1 / len(each.uses) for each in members)
    coherent = f"coherence {kappa:.2f}, {alone:.2f} where they have nothing in common"
    if kappa > 2 * alone or kappa > (1 + alone) / 2:
        return f"the uses agree ({coherent}); share as it is"
    return f"the uses go ways of their own without conflict ({coherent}); share as it is"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
