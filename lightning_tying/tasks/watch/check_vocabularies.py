"""A module and its data in; nothing out where each table is read by the vocabulary that it belongs to, else an error.

A network says which of its sites are numbered by which vocabulary, as a plain attribute `vocabulary_sites`: patterns of
FQNs and names, `{"encoder.embed.weight": "source", "head.{lang}.weight": "{lang}"}`.
"""

# pyright: reportUnknownMemberType=false
# Lightning and torch are typed in part only.

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from torch import nn

from lightning_tying.api import discover
from lightning_tying.errors import ConfigError
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.lowering.resolve import without_wrappers
from lightning_tying.lowering.state import find_tied
from lightning_tying.passes.check_vocabularies import SiteVocabulary, check_vocabularies
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.patterns import Pattern, read_pattern

if TYPE_CHECKING:
    from lightning_tying.tasks.watch.watched_module import WatchedModule

ATTRIBUTE = "vocabulary_sites"
Digests = Mapping[str, str]
_CAPTURE = re.compile(r"\{(\w+)\}")


def check_data_vocabularies(module: WatchedModule) -> None:
    """Compare the ties of a network with the vocabularies that its data are encoded with.

    Raises:
        SpecError: 88 to 90 of the language reference.
        ConfigError: `vocabulary_sites` is wrong.
    """
    data = getattr(getattr(module, "_trainer", None), "datamodule", None)
    digests = find_digests(getattr(data, "vocabularies", None) or getattr(data, "vocabulary", None))
    if digests:
        check_network(module, digests)


def check_network(module: WatchedModule, digests: Digests) -> None:
    """Compare the ties of a network with vocabularies.

    Args:
        module: with its network, tied or not.
        digests: of each vocabulary, by its name; the name "" is for one that serves all sites. A digest that is not
            known is empty.

    Raises:
        SpecError: 88 to 90 of the language reference.
        ConfigError: `vocabulary_sites` is wrong.
    """
    root, graph = _find_graph(module.tied_network)
    fqns = [site.fqn for site in graph.sites] or [use.site for _, use in graph.uses()]
    named = dict(_name_sites(module, root, fqns))
    if "" in digests:
        only = SiteVocabulary("the data", digests[""])
        check_vocabularies(graph, dict.fromkeys(named, only))
    else:
        check_vocabularies(graph, {fqn: SiteVocabulary(name, digests.get(name, "")) for fqn, name in named.items()})


def find_digests(vocabulary: object) -> Digests:
    """The digest of each vocabulary of a datamodule, by the names under which networks may know it.

    Args:
        vocabulary: one that serves all; separate ones by language, the source's first, which are also called `source`
            and `target`; or a mapping of such.

    Returns:
        Nothing where there is no vocabulary.
    """
    if vocabulary is None:
        return {}
    given = cast(Any, vocabulary)
    members: object = given if isinstance(vocabulary, Mapping) else getattr(given, "members", None)
    if not isinstance(members, Mapping) or hasattr(given, "rows"):  # the ids of united ones are rows
        return {"": str(getattr(given, "digest", ""))}
    each = {str(name): str(member.digest) for name, member in cast("Mapping[str, Any]", members).items()}
    if len(each) > 2 or not each:
        return each
    found = list(each.values())
    return {"source": found[0], "target": found[-1]} | each


def _find_graph(network: nn.Module) -> tuple[nn.Module, SharingGraph]:
    found = next(find_tied(network), None)
    if found is None:
        return network, discover(network)
    _, root, state = found
    return root, state.plan.graph


def _name_sites(module: nn.Module, root: nn.Module, fqns: list[str]) -> Iterator[tuple[str, str]]:
    """Each site that is numbered by a vocabulary, with that vocabulary's name; what was given counts before classes."""
    given: object = getattr(module, ATTRIBUTE, None)
    if given is not None:
        yield from _match(given, fqns, type(module).__name__, strict=True)
        return
    for path, inner in cast("Iterator[tuple[str, nn.Module]]", root.named_modules()):
        written: object = getattr(inner, ATTRIBUTE, None)
        if written is not None:
            prefix = f"{without_wrappers(path)}." if path else ""
            below = [fqn.removeprefix(prefix) for fqn in fqns if fqn.startswith(prefix)]
            for fqn, name in _match(written, below, type(inner).__name__, strict=False):
                yield f"{prefix}{fqn}", name


def _match(written: object, fqns: list[str], where: str, *, strict: bool) -> Iterator[tuple[str, str]]:
    if not isinstance(written, Mapping):
        raise ConfigError(
            f"{ATTRIBUTE} of {where} is a mapping of patterns to the names of vocabularies, such as "
            f"{{'encoder.embed.weight': 'source', 'decoder.embed.weight': 'target'}}, not {written!r}."
        )
    for text, name in cast("Mapping[object, object]", written).items():
        matches = [(fqn, captures) for fqn in fqns for captures in _read(str(text)).match(fqn)]
        if strict and not matches:
            raise ConfigError(f"{ATTRIBUTE}: {text} matches no site of {where}. It has: {', '.join(fqns)[:200]} …")
        for fqn, captures in matches:
            yield fqn, _CAPTURE.sub(lambda found, by=captures: str(by.get(found[1], found[0])), str(name))


def _read(text: str) -> Pattern:
    try:
        return read_pattern(text)
    except Mistake as error:
        raise ConfigError(f"{ATTRIBUTE}: {text}: {error}") from error
