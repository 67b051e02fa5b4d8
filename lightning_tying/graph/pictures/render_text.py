"""From a sharing graph to text: each shared parameter with the sites that read it, then the private parameters."""

from __future__ import annotations

from collections.abc import Iterable

from lightning_tying.graph.parts import GraphView, ParameterPolicy, SharingGroup, TensorMeta
from lightning_tying.graph.pictures.bundles import fold_penalties, forms_of_sites, is_shared, list_forms, list_readers
from lightning_tying.graph.pictures.fold import fold_fqns


def graph_to_text(graph: GraphView) -> str:
    """The graph for people and tests: stable, owners first, sites that differ in a number folded."""
    lines = [summarize_graph(graph)]
    forms = forms_of_sites(graph)
    for group in graph.groups:
        if is_shared(group):
            lines += ["", describe_group(group), *(f"    {line}" for line in list_readers(group, forms))]
    for form, sites in list_forms(graph).items():
        lines += ["", f"<- {form}", *(f"    {line}" for line in fold_fqns(sites))]
    blocks = {
        "of one derived site each": fold_alone(graph.groups),
        "penalties": fold_penalties(graph.penalties),
        "private": fold_private(graph.private),
    }
    for title, block in blocks.items():
        if block:
            lines += ["", title, *(f"    {line}" for line in block)]
    for warning in graph.warnings:
        lines += ["", f"{warning.code} {warning}"]
    return "\n".join(lines)


def summarize_graph(graph: GraphView) -> str:
    """One sentence: how many shared parameters, sites and private parameters."""
    sites = len({use.site for group in graph.groups for use in group.uses})
    shared = sum(is_shared(group) for group in graph.groups)
    told = [f"{count_things(shared, 'shared parameter')} read by {count_things(sites, 'site')}"]
    if graph.derived:
        told[0] += f", {len(graph.derived):,} derived"
    if shared < len(graph.groups):
        told.append(f"{count_things(len(graph.groups) - shared, 'parameter')} of one derived site each")
    return "; ".join((*told, count_things(len(graph.private), "private parameter")))


def count_things(count: int, thing: str) -> str:
    """`1 site`, `1,000 sites`."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def describe_group(group: SharingGroup) -> str:
    """One line: name, shape, dtype, and what its policy says that is not the default."""
    meta = describe_meta(group.meta)
    return "  ".join((str(group.name), meta, *describe_policy(group.policy, group.meta)))


def describe_meta(meta: TensorMeta) -> str:
    """`[100, 64] float32`."""
    return f"[{', '.join(str(size) for size in meta.shape)}] {meta.dtype}"


def describe_policy(policy: ParameterPolicy, meta: TensorMeta) -> list[str]:
    """What is not the default: `init mean`, `lr × 0.5`, `weight decay × 0`, `frozen`."""
    told: list[str] = []
    if policy.init.kind != "first":
        told.append(f"init {policy.init}")
    if policy.lr != 1:
        told.append(f"lr × {policy.lr:g}")
    if policy.weight_decay != 1:
        told.append(f"weight decay × {policy.weight_decay:g}")
    if not meta.trainable:
        told.append("frozen")
    return told


def fold_alone(groups: Iterable[SharingGroup]) -> list[str]:
    """The parameters that one derived site reads alone, one line for those of one family that are alike."""
    folded: dict[tuple[str, ...], list[SharingGroup]] = {}
    for group in groups:
        if not is_shared(group):
            told = (describe_meta(group.meta), *describe_policy(group.policy, group.meta))
            folded.setdefault((group.name.family, *told), []).append(group)
    return ["  ".join((_title(members), *told)) for (_, *told), members in folded.items()]


def _title(members: list[SharingGroup]) -> str:
    name = members[0].name
    return str(name) if len(members) == 1 else f"{name.family}[…] ({len(members):,})"


def fold_private(private: Iterable[tuple[str, TensorMeta]]) -> list[str]:
    """The private parameters, folded where name and metadata allow it."""
    by_meta: dict[TensorMeta, list[str]] = {}
    for fqn, meta in private:
        by_meta.setdefault(meta, []).append(fqn)
    return [f"{line}  {describe_meta(meta)}" for meta, fqns in by_meta.items() for line in fold_fqns(fqns)]
