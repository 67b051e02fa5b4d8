"""EmbeddingAlignment: a dictionary goes in; how often a word's nearest neighbor is its translation is logged."""

# pyright: reportUnknownMemberType=false
# Lightning and torch are typed in part only.

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning_utilities.core.rank_zero import rank_zero_warn
from torch import Tensor, nn
from typing_extensions import override

from lightning_tying.callbacks.alignment.csls import CSLSRetrieval
from lightning_tying.callbacks.alignment.pairs import WordPairs, find_pairs
from lightning_tying.errors import ConfigError
from lightning_tying.vocab.dictionaries import Dictionary, read_babel, read_emoji, read_tsv
from lightning_tying.vocab.vocabulary import Vocabulary


class EmbeddingAlignment(Callback):
    """Logs `tying/csls@1/‹one›-‹other›` after each validation: word translation by nearest neighbors (CSLS).

    Only words that are one piece in both vocabularies count. Tables of languages that share one are compared over the
    rows that each language reads.

    Args:
        sites: language → FQN of its table, relative to the network, `{"de": "embed.de.weight", "en": …}`.
        dictionary: "emoji", "babel", or the path of a .tsv file.
        k: neighbors that decide how near a word is to everything.

    Raises:
        ConfigError: fewer than two languages, a site that is not there, or a dictionary that cannot be read.
    """

    def __init__(self, sites: dict[str, str], dictionary: str = "emoji", k: int = 10) -> None:
        super().__init__()
        if len(sites) < 2:
            raise ConfigError(f"EmbeddingAlignment compares languages, and `sites` has {len(sites)} of them.")
        self.sites = dict(sites)
        self.dictionary = dictionary
        self.k = k
        CSLSRetrieval(k)
        self._pairs: dict[tuple[str, str], WordPairs] = {}

    @override
    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look up, and log."""
        if trainer.sanity_checking:
            return
        tables = {language: _read_table(pl_module, site) for language, site in self.sites.items()}
        if not self._pairs:
            self._pairs = self._find_pairs(_find_vocabulary(trainer, pl_module), tables)
        for (one, other), found in self._pairs.items():
            value = self._measure(found, tables[one], tables[other])
            pl_module.log(f"tying/csls@1/{one}-{other}", value, sync_dist=True, rank_zero_only=False)

    def _measure(self, found: WordPairs, one: Tensor, other: Tensor) -> Tensor:
        metric = CSLSRetrieval(self.k).to(one.device)
        places = (found.source.to(one.device), found.target.to(other.device))
        metric.update(one[places[0]], other[places[1]], found.pairs.to(one.device))
        return metric.compute().float()

    def _find_pairs(self, vocabulary: Vocabulary, tables: Mapping[str, Tensor]) -> dict[tuple[str, str], WordPairs]:
        dictionary = _load_dictionary(self.dictionary, list(tables))
        found: dict[tuple[str, str], WordPairs] = {}
        for one, other in permutations(tables, 2):
            pairs = find_pairs(vocabulary, dictionary, one, other, (len(tables[one]), len(tables[other])))
            if len(pairs.pairs):
                found[one, other] = pairs
            else:
                rank_zero_warn(
                    f"EmbeddingAlignment: no word of the dictionary {self.dictionary} is one piece in both {one} and "
                    f"{other}, so nothing is logged for them."
                )
        return found


def _read_table(module: LightningModule, site: str) -> Tensor:
    network: Any = getattr(module, "network", module)
    path, _, name = site.rpartition(".")
    try:
        with torch.no_grad():
            table = getattr(network.get_submodule(path), name)
    except AttributeError as error:
        tables = [fqn for fqn, _ in network.named_parameters() if fqn.endswith("weight")]
        raise ConfigError(f"EmbeddingAlignment: there is no {site}. There are: {', '.join(tables[:8])} …") from error
    if not isinstance(table, Tensor | nn.Parameter) or table.dim() != 2:
        raise ConfigError(f"EmbeddingAlignment: {site} is not a table of words.")
    return table.detach()


def _find_vocabulary(trainer: Trainer, module: LightningModule) -> Vocabulary:
    data: Any = getattr(trainer, "datamodule", None)
    found = getattr(module, "vocabulary", None) or getattr(data, "vocabulary", None)
    if found is None:
        raise ConfigError("EmbeddingAlignment needs a vocabulary, and neither the module nor the data have one.")
    return found


def _load_dictionary(name: str, languages: list[str]) -> Dictionary:
    if name == "emoji":
        return read_emoji(languages)
    if name == "babel":
        return read_babel(languages)
    if not name.endswith(".tsv"):
        raise ConfigError(f"EmbeddingAlignment: `dictionary` is {name!r}; write emoji, babel, or the path of a .tsv.")
    return read_tsv(name)
