"""`lightning-tying vocab unite`: tokenizer.json files go in; a row map, and one tokenizer if it can be, come out."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

from lightning_tying.commands.options import take_flag, take_option, take_value
from lightning_tying.commands.vocabulary.output_folder import check_folder
from lightning_tying.commands.vocabulary.sharing import SharingWords, take_sharing
from lightning_tying.errors import ConfigError
from lightning_tying.vocab.rows.make import POLICIES
from lightning_tying.vocab.rows.members import Members, json_of
from lightning_tying.vocab.rows.row_map import RowMap
from lightning_tying.vocab.rows.row_map_file import SIDECAR, TENSORS
from lightning_tying.vocab.rows.united_files import united_files
from lightning_tying.vocab.tokenizer_file import load_any_tokenizer
from lightning_tying.vocab.uniting.unite import unite_tokenizers
from lightning_tying.whole_files import write_together

TOKENIZER = "tokenizer.json"
_MOST_PAIRS = 10
USAGE = f"""\
usage: lightning-tying vocab unite A.json B.json … --output DIR [--names de,fr,…] [--policy POLICY]
                                   [--threshold T] [--dictionary NAME [--synonyms]] [--weights 2,1,…] [--force]

Puts several vocabularies into one table: for each id of each member, the row that it reads. Members may be of any kind
and of any library (byte-level BPE, BPE or Unigram with ▁, WordPiece); special tokens of one role always meet.

  --output DIR       where it goes: {TENSORS} with rows.json beside it (the row map), members/NAME.json,
                     and {TOKENIZER} if the members can be one tokenizer
  --names NAMES      of the members, in order; default the files' names. Policies that look at texts or dictionaries
                     want the languages' codes
  --policy POLICY    who shares a row:
                       surface          pieces that stand for the same text (default)
                       surface_similar  without false friends: word forms that parallel text uses for different
                                        things part (Dice's coefficient below --threshold, default 0.5)
                       dictionary       by surface, and the words of each group of --dictionary that one piece holds
                       none             special tokens only
  --dictionary NAME  emoji, babel, induced (from the parallel text), or a FILE.tsv: the languages' codes in the first
                     line, a group of words in each other, several words of one language with | between them
  --synonyms         let several words of one language read one row
  --package, --texts, --config   where parallel text comes from, as for `vocab report`; default the catalogues of django
  --weights WEIGHTS  Unigram: the share of each member in the mixture; default equal
  --force            replace what is there

One tokenizer is made of byte-level BPE (merges by rank) or of Unigram (mixture), where all cut text alike and share by
surface. Its ids are the rows. It needs no language, and cuts nearly as the members do; the members cut as they did.

In a sharing spec: embed.{{lang}}.weight = rows(vocab, map='DIR/{TENSORS}#{{lang}}')"""


def unite(words: list[str]) -> int:
    """Unite vocabularies into a folder.

    Raises:
        ConfigError: a file is no tokenizer, an option is wrong, or the output is there already.
    """
    if not words or words in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    words, output = take_value(words, "--output")
    words, names = take_value(words, "--names")
    words, policy = take_option(words, "--policy", POLICIES)
    words, weights = take_value(words, "--weights")
    words, force = take_flag(words, "--force")
    words, sharing = take_sharing(words, policy or "surface")
    paths = _paths(words)
    if output is None:
        raise ConfigError("vocab unite wants --output DIR, the folder for the row map.")
    check_folder(Path(output), force=force, names=(TENSORS, SIDECAR, TOKENIZER))
    chosen = _names(paths, names)
    shares = None if weights is None else _weights(weights, chosen)
    members = {name: load_any_tokenizer(path) for name, path in zip(chosen, paths, strict=True)}
    _write(members, sharing, shares, Path(output))
    return 0


def _write(members: Members, sharing: SharingWords, weights: dict[str, float] | None, folder: Path) -> None:
    rows = sharing.make(members)
    files = united_files(members, rows, folder)
    try:
        files[folder / TOKENIZER] = json_of(unite_tokenizers(members, rows, weights)).encode()
        one = f"one tokenizer of all: {folder / TOKENIZER}"
    except ConfigError as reason:
        if weights is not None:
            raise
        one = f"no {TOKENIZER} of all: {reason}"
    write_together(files)
    if folder / TOKENIZER not in files:
        (folder / TOKENIZER).unlink(missing_ok=True)  # of another union, which --force replaces
    print(f"{_describe(rows)}\nrow map: {folder / TENSORS}, with rows.json beside it\n{one}")


def _describe(rows: RowMap) -> str:
    head = (
        f"{len(rows.members)} vocabularies with {rows.n_ids:,} ids read {rows.n_rows:,} rows: {rows.saved:,} saved "
        f"({rows.saved_share:.1%}), policy {rows.policy}"
    )
    pairs = [(rows.shared_with(one, other), one, other) for one, other in combinations(rows.members, 2)]
    shown = [f"  {one} and {other} share {count:,} rows" for count, one, other in sorted(pairs, reverse=True)]
    more = [f"  … and {len(pairs) - _MOST_PAIRS} pairs more"] if len(pairs) > _MOST_PAIRS else []
    return "\n".join([head, *shown[:_MOST_PAIRS], *more])


def _paths(words: list[str]) -> list[Path]:
    unknown = next((word for word in words if word.startswith("-")), None)
    if unknown is not None:
        raise ConfigError(f"vocab unite does not know {unknown}. See `lightning-tying vocab unite --help`.")
    if len(words) < 2:
        raise ConfigError("vocab unite wants two vocabularies or more: lightning-tying vocab unite A.json B.json …")
    return [Path(word) / TOKENIZER if Path(word).is_dir() else Path(word) for word in words]


def _names(paths: list[Path], asked: str | None) -> list[str]:
    """The members' names: those that were asked for, or the files'; a `tokenizer.json` has its folder's name."""
    if asked is None:
        names = [path.absolute().parent.name if path.name == TOKENIZER else path.stem for path in paths]
    else:
        names = [name.strip() for name in asked.split(",")]
        if len(names) != len(paths):
            raise ConfigError(f"--names has {len(names)} names, and there are {len(paths)} vocabularies.")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"Two vocabularies have the name {twice!r}; name them in order: --names de,fr")
    return names


def _weights(text: str, names: list[str]) -> dict[str, float]:
    try:
        numbers = [float(word) for word in text.split(",")]
    except ValueError:
        raise ConfigError(f"--weights {text}: give numbers with commas between them, one for each member.") from None
    if len(numbers) != len(names):
        raise ConfigError(f"--weights has {len(numbers)} numbers, and there are {len(names)} vocabularies.")
    return dict(zip(names, numbers, strict=True))
