"""The section `parameters` and a draft in, the policy of that shared parameter out, and what its tensor is like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from lightning_tying.graph.parts import ParameterPolicy, TensorMeta
from lightning_tying.graph.policies.drafts import Brought, Draft
from lightning_tying.graph.policies.inits import SOLVED
from lightning_tying.graph.reading.own_parameters import find_policy_keys
from lightning_tying.spec.schema import Policy

DEFAULT = Policy()


class Policies:
    """Finds what the spec declares of a parameter.

    Args:
        declared: by the name of a shared parameter, of a function or of an own parameter of one.
    """

    def __init__(self, declared: Mapping[str, Policy]) -> None:
        self._declared = declared
        self._known: dict[tuple[str, Brought | None], Policy] = {}

    def find(self, draft: Draft) -> Policy:
        """The policy; of one that a function brings, each part from the longest key that says it."""
        if not self._declared:
            return DEFAULT
        brought = draft.brought
        if brought is None:
            return self._declared.get(draft.name.family, DEFAULT)
        key = (draft.name.family, brought)
        if key not in self._known:
            keys = find_policy_keys(brought.numbered, brought.function, brought.own)
            given = [self._declared[key] for key in keys if key in self._declared]
            self._known[key] = _merge(given) if given else DEFAULT
        return self._known[key]


def _merge(policies: Iterable[Policy]) -> Policy:
    """What the first says, and what it leaves out from the next."""
    first, *others = policies
    for other in others:
        first = replace(
            first,
            shape=other.shape if first.shape is None else first.shape,
            init=first.init or other.init,
            lr=other.lr if first.lr == DEFAULT.lr else first.lr,
            weight_decay=other.weight_decay if first.weight_decay == DEFAULT.weight_decay else first.weight_decay,
            frozen=other.frozen if first.frozen is None else first.frozen,
            dtype=first.dtype or other.dtype,
        )
    return first


def resolve_policy(draft: Draft, declared: Policy) -> ParameterPolicy:
    """What the graph says of a parameter."""
    return ParameterPolicy(
        draft.init,
        draft.init_sites,
        declared.lr,
        declared.weight_decay,
        declared.frozen,
        declared.dtype,
        draft.slices,
    )


def resolve_meta(draft: Draft, declared: Policy, shape: tuple[int, ...]) -> TensorMeta:
    """Its owner's metadata, but what the policy declares; a drawn value does not take `frozen` from its sites."""
    meta = draft.owner.site.meta
    from_sites = meta.trainable or draft.init.kind not in SOLVED
    trainable = from_sites if declared.frozen is None else not declared.frozen
    dtype = declared.dtype or meta.dtype
    if trainable == meta.trainable and dtype == meta.dtype and shape == meta.shape:
        return meta
    return replace(meta, shape=shape, trainable=trainable, dtype=dtype)
