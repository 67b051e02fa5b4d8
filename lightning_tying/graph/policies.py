"""Drafts of sharing groups in, groups with their resolved policies out (`parameters:` of the file; error 60)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lightning_tying.graph.inits import SOLVED, Draft
from lightning_tying.graph.parts import ParameterPolicy, SharingGroup, TensorMeta
from lightning_tying.graph.positions import Positions
from lightning_tying.graph.report import Report
from lightning_tying.graph.words import SiteScope
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.scalars import Scalar, evaluate
from lightning_tying.spec.schema import LetValue, Policy

DEFAULT = Policy()


def finish_groups(drafts: Sequence[Draft], policies: Mapping[str, Policy]) -> tuple[SharingGroup, ...]:
    """One sharing group for each draft; the policy is the same for all members of a family."""
    return tuple(_finish_group(draft, policies.get(draft.name.family, DEFAULT)) for draft in drafts)


def _finish_group(draft: Draft, declared: Policy) -> SharingGroup:
    policy = ParameterPolicy(
        draft.init, draft.init_sites, declared.lr, declared.weight_decay, declared.frozen, declared.dtype
    )
    uses = tuple([binding.source.make_use(binding.site.fqn) for binding in draft.bindings])
    return SharingGroup(draft.name, uses, _resolve_meta(draft, declared), policy)


def _resolve_meta(draft: Draft, declared: Policy) -> TensorMeta:
    """Its sites' metadata, but what the policy declares; a drawn value does not take `frozen` from its sites."""
    meta = draft.bindings[0].site.meta
    from_sites = meta.trainable or draft.init.kind not in SOLVED
    trainable = from_sites if declared.frozen is None else not declared.frozen
    dtype = declared.dtype or meta.dtype
    if trainable == meta.trainable and dtype == meta.dtype:
        return meta
    return replace(meta, trainable=trainable, dtype=dtype)


def check_policies(
    drafts: Sequence[Draft], policies: Mapping[str, Policy], let: Mapping[str, LetValue], report: Report
) -> None:
    """Refuse a declared shape that is not that of every site that reads the parameter (error 60)."""
    shaped = {name: policy.shape for name, policy in policies.items() if policy.shape is not None}
    told: set[str] = set()
    for draft in drafts:
        shape = shaped.get(draft.name.family)
        if shape is None or draft.name.family in told:
            continue
        text = _compare_shape(draft, shape, let)
        if text is not None:
            told.add(draft.name.family)
            report.add("60", policies[draft.name.family].location, text)


def _compare_shape(draft: Draft, shape: Sequence[Scalar | None], let: Mapping[str, LetValue]) -> str | None:
    for binding in draft.bindings:
        actual = binding.site.meta.shape
        scope = SiteScope(binding.match, let, Positions(binding.source.matches))
        try:
            declared = [None if size is None else evaluate(size, scope) for size in shape]
        except Mistake as mistake:
            return mistake.text
        fits = len(declared) == len(actual) and all(
            size is None or size == other for size, other in zip(declared, actual, strict=False)
        )
        if not fits:
            sizes = ", ".join("_" if size is None else str(size) for size in declared)
            return (
                f"`{draft.name}` is declared [{sizes}] and is {list(actual)} at {binding.site.fqn}. Leave `shape` out."
            )
    return None
