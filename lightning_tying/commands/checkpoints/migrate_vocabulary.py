"""`checkpoint migrate --vocabulary`: a checkpoint and another vocabulary go in, one with its rows comes out."""

# pyright: reportUnknownMemberType=false
# Lightning and torch are typed in part only.

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from lightning.pytorch import LightningModule

from lightning_tying.checkpoints.moments_of_rows import carry_state
from lightning_tying.checkpoints.origins import Origin
from lightning_tying.checkpoints.read import OPTIMIZERS, STATE, read_checkpoint, refuse_sharded
from lightning_tying.checkpoints.saved_sharing import read_sharing_entry
from lightning_tying.checkpoints.write import check_target, write_checkpoint
from lightning_tying.commands.checkpoints.migrate import AVERAGED
from lightning_tying.commands.checkpoints.models import load_state, make_untied, tie_saved, with_config
from lightning_tying.commands.checkpoints.moved_state import first_names, move_optimizers, write_sharing
from lightning_tying.commands.options import take_flag, take_option, take_value
from lightning_tying.errors import ConfigError
from lightning_tying.lowering.edits.change_rows import ChangedRows, change_rows
from lightning_tying.lowering.edits.new_rows import NEW_ROW_RULES, NewRowRule
from lightning_tying.tasks.change_vocabulary import NewRows, plan_new_rows, resize_hparams
from lightning_tying.tasks.text_task import VOCABULARY_KEY
from lightning_tying.vocab.vocabulary import Vocabulary, load_vocabulary, read_vocabulary

USAGE = """\
usage: lightning-tying checkpoint migrate FILE --vocabulary NEW --output OUT.ckpt
                                          [--new_rows mean|subword_mean|overlap|omp] [--texts PATH] [--rows N]
                                          [--group NAME] [--config RUN.yaml] [--weights-only] [--dry-run] [--force]

Rewrites a checkpoint of a trained model for another vocabulary, so that training goes on from it. Ids are compared by
what they stand for: rows of pieces that both vocabularies have are kept bit for bit, in the embedding, the head, its
bias and the optimizer's moments together.

  --vocabulary NEW   a tokenizer.json (of `vocab extend` or `vocab trim`), or a folder of `vocab train`, `vocab unite`
  --output OUT       the new checkpoint
  --new_rows RULE    what the other rows start as: the mean of all old rows (default); subword_mean: of the old pieces
                     that spell the new one; overlap: of the kept pieces like it, weighted by the sparsemax of their
                     similarity; omp: the best sum of eight kept pieces. A new language's tag: the mean, or with
                     subword_mean that of the old tags. Moments of new rows: exp_avg 0, exp_avg_sq of the rows that
                     they are made of
  --texts PATH       overlap, omp: a folder with de.txt, fr.txt, … of the new vocabulary's languages, or a table of
                     translations (.tsv, .jsonl); without it pieces are alike where they are spelled alike
  --rows N           rows of the new table; default one for each id
  --group NAME       the table, where the model has several: a shared parameter (`vocabulary`), or an embedding's name
  --config FILE      the run config of the model; without it the config.yaml beside FILE
  --weights-only     leave the optimizer's state behind
  --dry-run          say what would happen, and write nothing
  --force            replace OUT

Then go on: lightning-tying fit --config RUN.yaml --data.vocabulary_size N --ckpt_path OUT.ckpt"""


@dataclass(frozen=True)
class Request:
    """What was asked for."""

    file: Path
    words: tuple[str, ...]
    vocabulary: Path
    output: Path | None
    rule: NewRowRule
    texts: Path | None
    rows: int | None
    group: str | None
    weights_only: bool
    dry: bool
    force: bool


@dataclass(frozen=True)
class Migrated:
    """What has been done.

    Args:
        content: of the new checkpoint.
        new: where its rows come from.
        done: what was replaced.
    """

    content: dict[str, Any]
    new: NewRows
    done: ChangedRows


def migrate_vocabulary(words: list[str]) -> int:
    """Write the checkpoint of another vocabulary, or say what it would be.

    Raises:
        ConfigError: an argument is wrong, the checkpoint does not fit the config, or the output cannot be written.
        ApplyError: something of the model cannot follow.
    """
    if "-h" in words or "--help" in words:
        print(USAGE)
        return 0
    asked = _read_words(words)
    refuse_sharded(asked.file)
    if asked.output is not None and not asked.dry:
        check_target(asked.output, force=asked.force)
    migrated = _migrate(asked)
    if not asked.dry and asked.output is not None:
        write_checkpoint(migrated.content, asked.output, force=asked.force)
    print(_describe(migrated, asked))
    return 0


def _migrate(asked: Request) -> Migrated:
    checkpoint = read_checkpoint(asked.file)
    old, new = _read_old(checkpoint, asked.file), load_vocabulary(asked.vocabulary)
    planned = plan_new_rows(old, new, asked.rule, texts=_read_texts(asked.texts), rows=asked.rows)
    source = _make_source(checkpoint, asked)
    target, done = _change(source, checkpoint[STATE], planned, asked)
    content = {**checkpoint, STATE: dict(target.state_dict())}
    if AVERAGED in checkpoint:
        averaged, _ = _change(source, checkpoint[AVERAGED], planned, asked)
        content[AVERAGED] = dict(averaged.state_dict())
    names = tuple(first_names(source).values())
    origins = {name: Origin(name, "kept", (name,), (name,)) for name in names}
    move_optimizers(content, source, target, origins, weights_only=asked.weights_only)
    _carry_moments(content, planned, done, names)
    write_sharing(content, target)
    return Migrated(_tell(content, old, new, done), planned, done)


def _make_source(checkpoint: Mapping[str, Any], asked: Request) -> LightningModule:
    """The model that the checkpoint is of, tied as it was."""
    untied, sharing = make_untied(with_config(asked.words, asked.file))
    return tie_saved(untied, read_sharing_entry(checkpoint), [None if sharing is None else sharing.spec])


def _change(
    source: LightningModule, state: Mapping[str, Any], planned: NewRows, asked: Request
) -> tuple[LightningModule, ChangedRows]:
    load_state(source, state, str(asked.file))
    target = deepcopy(source)
    return target, change_rows(target, planned.change, asked.group)


def _carry_moments(content: dict[str, Any], planned: NewRows, done: ChangedRows, names: tuple[str, ...]) -> None:
    """Let the states of replaced parameters follow; a parameter's number is its place in the model."""
    optimizers = cast("list[dict[str, Any]]", content.get(OPTIMIZERS) or [])
    for optimizer in optimizers:
        states = cast("dict[int, Mapping[str, Any]]", optimizer["state"])
        for number, state in states.items():
            place = done.parameters.get(names[number])
            if place is not None:
                states[number] = carry_state(state, planned.change, place)


def _tell(content: dict[str, Any], old: Vocabulary, new: Vocabulary, done: ChangedRows) -> dict[str, Any]:
    """The new vocabulary wherever the checkpoint holds the old one, and the new number of rows in hparams.

    Rows of data are cut otherwise, so their epoch begins again.
    """
    before, after = old.to_json(), new.to_json()
    for key, part in list(content.items()):
        if isinstance(part, Mapping) and cast("Mapping[str, Any]", part).get(VOCABULARY_KEY) == before:
            told = {**cast("Mapping[str, Any]", part), VOCABULARY_KEY: after}
            position = told.get("position")
            if isinstance(position, Mapping):
                told["position"] = {**cast("Mapping[str, Any]", position), "taken": 0}
            content[key] = told
    content[VOCABULARY_KEY] = after
    hparams = content.get("hyper_parameters")
    if isinstance(hparams, Mapping):
        content["hyper_parameters"] = resize_hparams(cast("Mapping[str, Any]", hparams), done)
    return content


def _read_old(checkpoint: Mapping[str, Any], path: Path) -> Vocabulary:
    text = checkpoint.get(VOCABULARY_KEY)
    if not isinstance(text, str):
        raise ConfigError(
            f"{path} holds no vocabulary, so nobody knows what its rows stand for. In code: "
            "lightning_tying.tasks.change_vocabulary(module, new, old)."
        )
    return read_vocabulary(text, f"The vocabulary of {path}")


def _read_texts(path: Path | None) -> dict[str, list[str]] | None:
    if path is None:
        return None
    from lightning_tying.data.text_folder import find_language_files, read_lines, read_table  # for texts only

    if path.is_file():
        return {language: list(texts.values()) for language, texts in read_table(path).items()}
    return {language: read_lines(file) for language, file in find_language_files(path).items()}


def _describe(migrated: Migrated, asked: Request) -> str:
    origins, done = migrated.new.origins, migrated.done
    lines = [
        f"rows: {done.old_rows:,} before, {done.rows:,} after; {origins.count_kept:,} kept bit for bit",
        f"new rows: {int((migrated.new.change.kept < 0).sum()):,}, by {asked.rule}",
        f"replaced: {', '.join(done.parameters)}",
    ]
    if asked.dry or asked.output is None:
        return "\n".join([*lines, "dry run: nothing was written"])
    lines.append(f"written: {asked.output} ({asked.output.stat().st_size:,} bytes)")
    return "\n".join(
        [*lines, f"The data's vocabulary_size is {done.rows} from now on: --data.vocabulary_size {done.rows}"]
    )


def _read_words(words: list[str]) -> Request:
    taken: dict[str, str | None] = {}
    for name in ("--vocabulary", "--output", "--texts", "--rows", "--group", "--to", "--from", "--join"):
        words, taken[name] = take_value(words, name)
    words, rule = take_option(words, "--new_rows", NEW_ROW_RULES)
    words, weights_only = take_flag(words, "--weights-only")
    words, dry = take_flag(words, "--dry-run")
    words, force = take_flag(words, "--force")
    _check_words(words, taken, dry=dry)
    rows = taken["--rows"]
    return Request(
        Path(words[0]),
        tuple(words[1:]),
        Path(str(taken["--vocabulary"])),
        None if taken["--output"] is None else Path(taken["--output"]),
        cast(NewRowRule, rule or "mean"),
        None if taken["--texts"] is None else Path(taken["--texts"]),
        None if rows is None else int(rows),
        taken["--group"],
        weights_only,
        dry,
        force,
    )


def _check_words(words: list[str], taken: Mapping[str, str | None], *, dry: bool) -> None:
    if not words or words[0].startswith("-"):
        raise ConfigError("migrate wants a checkpoint first: checkpoint migrate FILE --vocabulary NEW.json …")
    spec = next((name for name in ("--to", "--from", "--join") if taken[name] is not None), None)
    if spec is not None:
        raise ConfigError(
            f"migrate changes the vocabulary or the spec, one at a time: leave out --vocabulary or {spec}."
        )
    if taken["--output"] is None and not dry:
        raise ConfigError("migrate wants --output OUT.ckpt, or --dry-run.")
    rows = taken["--rows"]
    if rows is not None and not (rows.isascii() and rows.isdigit() and int(rows) > 0):
        raise ConfigError(f"--rows is a number of rows, not {rows}.")
