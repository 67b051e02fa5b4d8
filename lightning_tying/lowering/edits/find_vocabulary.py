"""A module and, where it has several, the name of a table in; the embedding, the heads and what ties them out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from lightning_tying.errors import ApplyError
from lightning_tying.graph.ir import SharingGroup
from lightning_tying.lowering.edits.vocabulary_sites import count_rows, find_mapped
from lightning_tying.lowering.pretrained import find_pretrained
from lightning_tying.lowering.resolve import walk_modules
from lightning_tying.lowering.state import TiedState, find_tied
from lightning_tying.spec.nearest import nearest_name


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Where a module has its vocabulary.

    Args:
        path: the FQN of `root` in the module that was asked for; empty for itself.
        root: the tied module that has it, or the module itself where nothing there is tied.
        state: what the tied module remembers; None where nothing is tied.
        group: the shared parameter that was named, or that is read by maps.
        sites: FQNs in `root` of the embeddings and heads; none where the table is read by maps.
        rows: how many rows the table has.
    """

    path: str
    root: nn.Module
    state: TiedState | None
    group: SharingGroup | None
    sites: tuple[str, ...]
    rows: int

    def full_name(self, fqn: str) -> str:
        """An FQN in the module that was asked for."""
        return f"{self.path}.{fqn}" if self.path else fqn


def find_vocabulary(module: nn.Module, name: str | None) -> Vocabulary:
    """Find the vocabulary of a module.

    Args:
        module: tied, with tied modules inside, or without any spec.
        name: a shared parameter's name, or the FQN of an embedding or of its weight; None where there is one only.

    Raises:
        ApplyError: there is none, or several and no name.
    """
    named = _find_named(module, name) if name is not None else _find_mapped(module)
    if named is not None:
        return named
    embedding, rows = _find_embedding(module, name)
    for path, root, state in find_tied(module):
        if not path or embedding.startswith(f"{path}."):
            return Vocabulary(path, root, state, None, _list_sites(root, rows), rows)
    return Vocabulary("", module, None, None, _list_sites(module, rows), rows)


def _find_named(module: nn.Module, name: str) -> Vocabulary | None:
    for path, root, state in find_tied(module):
        for group in state.plan.graph.groups:
            if str(group.name) == name:
                return _of_group(path, root, state, group)
    return None


def _find_mapped(module: nn.Module) -> Vocabulary | None:
    """The only table that embeddings read by maps."""
    tables = [
        (path, root, state, group)
        for path, root, state in find_tied(module)
        for group in state.plan.graph.groups
        if any(
            isinstance(root.get_submodule(site.rpartition(".")[0]), nn.Embedding)
            for site in find_mapped(state.plan.graph, group.name)
        )
    ]
    if len(tables) > 1:
        names = ", ".join(f"`{group.name}`" for _, _, _, group in tables)
        raise ApplyError(f"Several tables are read by maps: {names}. Name the one whose vocabulary changes.")
    return _of_group(*tables[0]) if tables else None


def _of_group(path: str, root: nn.Module, state: TiedState, group: SharingGroup) -> Vocabulary:
    if find_mapped(state.plan.graph, group.name):
        return Vocabulary(path, root, state, group, (), group.meta.shape[0])
    rows = count_rows(state.plan.graph, group)
    sites = dict.fromkeys((*group.sites, *_list_sites(root, rows)))
    return Vocabulary(path, root, state, group, tuple(sites), rows)


def _find_embedding(module: nn.Module, name: str | None) -> tuple[str, int]:
    """The embedding's FQN and its rows."""
    found = dict(_list_embeddings(module))
    if name is not None:
        wanted = name.removesuffix(".weight")
        if wanted not in found:
            near = nearest_name(wanted, list(found))
            raise ApplyError(
                f"`{name}` is neither a shared parameter nor an embedding of this module."
                + (f" Nearest: {near}." if near else "")
            )
        return wanted, found[wanted]
    told: set[object] = {vars(part).get("vocab_size") for _, part in walk_modules(module, computed=False)}
    for _, part in find_pretrained(module):
        untyped: Any = part  # a network of transformers, which may not be installed
        told.add(getattr(untyped.config.get_text_config(), "vocab_size", None))
    fitting = {path: rows for path, rows in found.items() if rows in told} or found
    if len(set(fitting.values())) != 1:
        listed = ", ".join(f"{path} [{rows}]" for path, rows in fitting.items()) or "none"
        raise ApplyError(f"It is not clear which embedding is the vocabulary's (there are: {listed}). Name it.")
    return next(iter(fitting.items()))


def _list_embeddings(module: nn.Module) -> Iterator[tuple[str, int]]:
    for path, part in walk_modules(module, computed=False):
        if isinstance(part, nn.Embedding | nn.EmbeddingBag):
            yield path, part.num_embeddings


def _list_sites(root: nn.Module, rows: int) -> tuple[str, ...]:
    """The weights of embeddings of that many rows, and of linear layers with as many outputs.

    A layer in a stack (a number is in its path) is no head, whatever its size is.
    """
    found: list[str] = []
    for path, part in walk_modules(root, computed=False):
        embeds = isinstance(part, nn.Embedding | nn.EmbeddingBag) and part.num_embeddings == rows
        stacked = any(segment.isdigit() for segment in path.split("."))
        if embeds or (isinstance(part, nn.Linear) and part.out_features == rows and not stacked):
            found.append(f"{path}.weight".lstrip("."))
    return tuple(found)
