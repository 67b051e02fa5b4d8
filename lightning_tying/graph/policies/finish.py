"""Drafts and expressions in, the sharing groups and derived sites of a graph out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lightning_tying.algebra.expression import Read, name_slots
from lightning_tying.graph.matching.bind import Binding
from lightning_tying.graph.parts import DerivedSite, ParameterName, SharingGroup, Site, Use
from lightning_tying.graph.policies.drafts import Draft
from lightning_tying.graph.policies.policies import Policies, resolve_meta, resolve_policy
from lightning_tying.graph.reading.gradient_rules import SUM, GradientRules
from lightning_tying.graph.shapes.derived import Inferred
from lightning_tying.spec.schema import Equation

Slots = Mapping[ParameterName, str]


@dataclass(frozen=True)
class Finished:
    """The part of a graph that equations make, in model order."""

    groups: tuple[SharingGroup, ...]
    derived: tuple[DerivedSite, ...]


def finish_graph(
    drafts: Sequence[Draft],
    inferred: Inferred,
    policies: Policies,
    rules: GradientRules,
    sites: Sequence[Site],
) -> Finished:
    """Make a group of every draft whose shape is known, and a derived site of every use that is no alias."""
    if rules.plain and not any(draft.has_derived or policies.find(draft).dtype for draft in drafts):
        return Finished(tuple([_make_plain(draft, policies) for draft in drafts]), ())
    return _Finisher(inferred, policies, rules).finish(drafts, sites)


def _make_plain(draft: Draft, policies: Policies) -> SharingGroup:
    policy = policies.find(draft)
    uses = tuple(
        [
            Use(binding.site.fqn, SUM, "", True, binding.source.entry.location, binding.source.written)
            for binding in draft.bindings
        ]
    )
    meta = resolve_meta(draft, policy, draft.bindings[0].site.meta.shape)
    return SharingGroup(draft.name, uses, meta, resolve_policy(draft, policy))


class _Finisher:
    """Holds the derived sites and their slots while groups are made."""

    def __init__(self, inferred: Inferred, policies: Policies, rules: GradientRules) -> None:
        self._inferred = inferred
        self._policies = policies
        self._rules = rules
        self._derived: dict[str, DerivedSite] = {}
        self._slots: dict[str, Slots] = {}

    def finish(self, drafts: Sequence[Draft], sites: Sequence[Site]) -> Finished:
        known = [draft for draft in drafts if draft.owner.is_bare or draft.name in self._inferred.shapes]
        made = [self._make_group(draft) for draft in known]
        groups = [group for group in made if group.uses]
        order = {site.fqn: position for position, site in enumerate(sites)}
        groups.sort(key=lambda group: (order[group.owner], self._slot_number(group)))
        derived = sorted(self._derived.values(), key=lambda one: order[one.site])
        return Finished(tuple(groups), tuple(derived))

    def _slot_number(self, group: SharingGroup) -> int:
        slots = self._slots.get(group.owner)
        return list(slots).index(group.name) if slots is not None and group.name in slots else 0

    def _make_group(self, draft: Draft) -> SharingGroup:
        policy, owner = self._policies.find(draft), draft.owner
        shape = owner.site.meta.shape if owner.is_bare else self._inferred.shapes[draft.name]
        others = [binding for binding in draft.bindings if binding is not owner] if draft.has_derived else None
        bindings = draft.bindings if others is None else [owner, *others]
        uses = [use for binding in bindings for use in self._make_use(draft, binding, policy.dtype)]
        return SharingGroup(draft.name, tuple(uses), resolve_meta(draft, policy, shape), resolve_policy(draft, policy))

    def _make_use(self, draft: Draft, binding: Binding, dtype: str | None) -> Iterable[Use]:
        """One use; none at a site that was refused."""
        fqn, entry = binding.site.fqn, binding.source.entry
        rule = self._rules.find(binding) if draft.brought is None else SUM
        if not binding.is_bare:
            slots = self._find_slots(binding)
            if slots is not None:
                yield Use(fqn, rule, slots[draft.name], False, entry.location, binding.source.written)
            return
        slot = ""
        if rule.kind != "sum" or (dtype is not None and dtype != binding.site.meta.dtype):
            slot = self._read_as_it_is(draft, binding)[draft.name]
        yield Use(fqn, rule, slot, True, entry.location, binding.source.written)

    def _find_slots(self, binding: Binding) -> Slots | None:
        fqn = binding.site.fqn
        expression = self._inferred.expressions.get(fqn)
        if expression is None:
            return None
        if fqn not in self._slots:
            self._slots[fqn] = {slot.parameter: slot.name for slot in name_slots(expression)}
            entry = binding.source.entry
            keep = isinstance(entry, Equation) and entry.keep
            self._derived[fqn] = DerivedSite(fqn, expression, binding.site.meta, keep, entry.location)
        return self._slots[fqn]

    def _read_as_it_is(self, draft: Draft, binding: Binding) -> Slots:
        """A site that reads a bare parameter and is no alias."""
        fqn, entry = binding.site.fqn, binding.source.entry
        expression = Read(binding.site.meta.shape, draft.name)
        keep = isinstance(entry, Equation) and entry.keep
        self._derived[fqn] = DerivedSite(fqn, expression, binding.site.meta, keep, entry.location)
        self._slots[fqn] = {slot.parameter: slot.name for slot in name_slots(expression)}
        return self._slots[fqn]
