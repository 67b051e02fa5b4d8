"""The model and the `data` section of a run config in; nothing out where their vocabularies fit, else an error.

No text is read: what is known without it are the vocabularies that files give, and that there are two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from jsonargparse import Namespace
from lightning.pytorch import LightningModule

from lightning_tying.tasks.watch.check_vocabularies import Digests, check_network, find_digests
from lightning_tying.tasks.watch.watched_module import WatchedModule
from lightning_tying.vocab.shared_vocabulary import SharedVocabulary
from lightning_tying.vocab.vocabulary import load_vocabulary


def check_planned_vocabularies(model: LightningModule, data: Namespace | None) -> None:
    """Compare the ties of a network with the vocabularies that its config names.

    Raises:
        SpecError: 88 to 90 of the language reference.
        ConfigError: a vocabulary's file cannot be read, or `vocabulary_sites` is wrong.
    """
    digests = _find_digests(data)
    if digests and isinstance(model, WatchedModule):
        check_network(model, digests)


def _find_digests(data: Namespace | None) -> Digests:
    arguments = cast("Mapping[str, Any]", {} if data is None else data.get("init_args") or {})
    given: object = arguments.get("vocabulary")
    if isinstance(given, str):
        return find_digests(load_vocabulary(given))
    if arguments.get("source_vocabulary_size") is None:
        return {}
    if not isinstance(given, Mapping) or len(cast("Mapping[str, str]", given)) != 2:
        return {"source": "", "target": ""}
    files = cast("Mapping[str, str]", given)
    source = str(arguments.get("source"))
    ordered = sorted(files, key=lambda language: language != source)
    return find_digests({language: SharedVocabulary.load(files[language]) for language in ordered})
