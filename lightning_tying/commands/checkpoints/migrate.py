"""`lightning-tying checkpoint migrate`: a checkpoint and two specs go in, one of the other spec comes out."""

# pyright: reportUnknownMemberType=false
# Lightning and torch are typed in part only.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from lightning.pytorch import LightningModule

from lightning_tying.checkpoints.migrate_weights import (
    JOINS,
    Join,
    SiteChange,
    copy_buffers,
    find_changes,
    migrate_values,
    read_sites,
    write_sites,
)
from lightning_tying.checkpoints.migration_text import Migration, migration_text
from lightning_tying.checkpoints.origins import Origin
from lightning_tying.checkpoints.read import OPTIMIZERS, STATE, read_checkpoint, refuse_sharded
from lightning_tying.checkpoints.saved_sharing import SavedSharing, check_spec, read_sharing_entry
from lightning_tying.checkpoints.write import check_target, write_checkpoint
from lightning_tying.commands.checkpoints.models import (
    load_state,
    make_untied,
    tie_copy,
    tie_saved,
    with_config,
)
from lightning_tying.commands.checkpoints.moved_state import first_names, move_optimizers, write_sharing
from lightning_tying.commands.options import take_flag, take_option, take_value
from lightning_tying.errors import ConfigError, SpecError
from lightning_tying.spec.dumper import dump_spec
from lightning_tying.spec.schema import SharingSpec
from lightning_tying.tasks.sharing_source import read_sharing

USAGE = """\
usage: lightning-tying checkpoint migrate FILE --to B.yaml|none --output OUT.ckpt [--from A.yaml|none]
                                          [--config RUN.yaml] [--join mean|first|init] [--weights-only]
                                          [--dry-run] [--force]
       lightning-tying checkpoint migrate FILE --vocabulary NEW.json --output OUT.ckpt …
                                          for another vocabulary: migrate --vocabulary --help

Rewrites a checkpoint of a model that shares by one spec for the same model sharing by another, so that training goes
on from it: weights, the optimizer's moments, schedules, progress. `none` is the model without a spec.

  --to SPEC          the spec that the new checkpoint is for
  --from SPEC        the spec that the checkpoint was made with; it has to be the one that the checkpoint holds, which
                     is taken where this is left out
  --config FILE      the run config of the model; without it the config.yaml beside FILE
  --output OUT       the new checkpoint
  --dry-run          say what would happen, and write nothing
  --join RULE        what several values become that are one parameter from now on: their mean (default, each site
                     counted once), the first site's, or what B's own `init` says
  --weights-only     leave the optimizer's state behind
  --force            replace OUT

What becomes of weights and moments:
  split    every new parameter gets a copy of the weights and of the moments
  join     weights by --join; exp_avg, exp_avg_sq and momentum_buffer are means, max_exp_avg_sq is the maximum, and
           step is the largest
  solved   a parameter of B that sites compute from is solved from their values as by --init_from; its moments, and
           those of a parameter that A computed, begin anew

Then go on: lightning-tying fit --config RUN.yaml --sharing B.yaml --ckpt_path OUT.ckpt"""
AVERAGED = "current_model_state"  # where Lightning's WeightAveraging keeps the weights that the optimizer has


@dataclass(frozen=True)
class Request:
    """What was asked for."""

    file: Path
    words: tuple[str, ...]
    before: str | None
    after: str
    output: Path | None
    join: Join
    weights_only: bool
    dry: bool
    force: bool


def migrate(words: list[str]) -> int:
    """Write the checkpoint of another spec, or say what it would be.

    Raises:
        ConfigError: an argument is wrong, the checkpoint does not fit the config, or the output cannot be written.
        SpecError: a spec is wrong, or does not fit the model.
    """
    if not words or words in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    asked = _read_words(words)
    refuse_sharded(asked.file)
    if asked.output is not None and not asked.dry:
        check_target(asked.output, force=asked.force)
    content, migration = migrate_checkpoint(asked)
    if not asked.dry and asked.output is not None:
        write_checkpoint(content, asked.output, force=asked.force)
    print(migration_text(migration, dry=asked.dry))
    if not asked.dry and asked.output is not None:
        print(f"written: {asked.output} ({asked.output.stat().st_size:,} bytes)")
    return 0


def migrate_checkpoint(asked: Request) -> tuple[dict[str, Any], Migration]:
    """The content of the new checkpoint, and what has happened to each parameter."""
    checkpoint = read_checkpoint(asked.file)
    saved = read_sharing_entry(checkpoint)
    before = _check_source(saved, asked.before)
    after = _read_spec(asked.after)
    untied, sharing = make_untied(with_config(asked.words, asked.file))
    source = tie_saved(untied, saved, [before, None if sharing is None else sharing.spec])
    content = dict(checkpoint)
    target, origins, changes = _move(untied, source, after, checkpoint[STATE], asked)
    content[STATE] = dict(target.state_dict())
    if AVERAGED in checkpoint:
        moved, _, _ = _move(untied, source, after, checkpoint[AVERAGED], asked)
        content[AVERAGED] = dict(moved.state_dict())
    move_optimizers(content, source, target, origins, weights_only=asked.weights_only)
    write_sharing(content, target)
    sizes = tuple(sum(p.numel() * p.element_size() for p in model.parameters()) for model in (source, target))
    with_state = _count_states(content, target)
    return content, Migration(origins, tuple(changes), (sizes[0], sizes[1]), with_state, asked.join)


def _move(
    untied: LightningModule,
    source: LightningModule,
    after: SharingSpec | None,
    state: Mapping[str, Any],
    asked: Request,
) -> tuple[LightningModule, dict[str, Origin], list[SiteChange]]:
    load_state(source, state, str(asked.file))
    values = read_sites(source)
    write_sites(untied, values)
    copy_buffers(source, untied)
    target = tie_copy(untied, after)
    origins = migrate_values(source, target, asked.join)
    return target, origins, find_changes(values, target)


def _count_states(content: Mapping[str, Any], target: LightningModule) -> frozenset[str]:
    names = list(first_names(target).values())
    optimizers = cast("list[dict[str, dict[int, Any]]]", content.get(OPTIMIZERS) or [])
    numbers = (number for optimizer in optimizers for number in optimizer["state"])
    return frozenset(names[number] for number in numbers)


def _check_source(saved: SavedSharing, given: str | None) -> SharingSpec | None:
    """The spec that the user gives as the checkpoint's own; None where nothing is given."""
    if given is None:
        return None
    spec = _read_spec(given)
    check_spec(saved, "" if spec is None else dump_spec(spec), given)
    return spec


def _read_spec(given: str) -> SharingSpec | None:
    if given == "none":
        return None
    spec = read_sharing(given)
    if spec.problems:
        raise SpecError(spec.problems)
    return spec


def _read_words(words: list[str]) -> Request:
    rest, before = take_value(words, "--from")
    rest, after = take_value(rest, "--to")
    rest, output = take_value(rest, "--output")
    rest, join = take_option(rest, "--join", JOINS)
    rest, weights_only = take_flag(rest, "--weights-only")
    rest, dry = take_flag(rest, "--dry-run")
    rest, force = take_flag(rest, "--force")
    if not rest or rest[0].startswith("-"):
        raise ConfigError("migrate wants a checkpoint first: lightning-tying checkpoint migrate FILE --to B.yaml …")
    if after is None:
        raise ConfigError("migrate wants the spec that the checkpoint is to be for: --to B.yaml, or --to none.")
    if output is None and not dry:
        raise ConfigError("migrate wants --output OUT.ckpt, or --dry-run.")
    return Request(
        Path(rest[0]), tuple(rest[1:]), before, after, None if output is None else Path(output),
        cast(Join, join or "mean"), weights_only, dry, force,
    )  # fmt: skip
