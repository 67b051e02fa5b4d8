"""`lightning-tying checkpoint import`: weights of another program go in, a checkpoint of a run's model comes out."""

# pyright: reportUnknownMemberType=false
# Lightning is typed in part only.

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from lightning.pytorch import LightningModule
from torch import Tensor, nn

from lightning_tying.checkpoints.import_weights import fit_names
from lightning_tying.checkpoints.pretrained_folder import read_pretrained
from lightning_tying.checkpoints.read import STATE, WRITTEN_BY_LIGHTNING
from lightning_tying.checkpoints.safetensors_file import read_safetensors
from lightning_tying.checkpoints.write import check_target, write_checkpoint
from lightning_tying.commands.checkpoints.models import load_state, make_untied, tie_copy
from lightning_tying.commands.options import take_flag, take_option, take_value
from lightning_tying.commands.run import find_configs
from lightning_tying.errors import ConfigError
from lightning_tying.lowering.pretrained import find_pretrained
from lightning_tying.tasks.sharing_source import SharingSource
from lightning_tying.tasks.watch.checkpoint_content import write_content
from lightning_tying.tasks.watch.watched_module import WatchedModule

FORMATS = ("safetensors", "hf")
USAGE = """\
usage: lightning-tying checkpoint import FILE|FOLDER --format safetensors|hf --config RUN.yaml --output OUT.ckpt
                                         [--force]

Makes a checkpoint of a run config's model from weights of another program. `validate`, `test`, `predict` and `export`
take it as --ckpt_path; a training begins from it with --init_from when the weights are of the untied model.

  safetensors    a file; names that its metadata stands for are filled in
  hf             a folder that save_pretrained wrote: model.safetensors or pytorch_model.bin, in one part or several

The file may hold the weights of the tied network (as `checkpoint export` writes them), or those of the untied network:
then the shared parameters are solved from them by the spec, as --init_from does."""


def import_weights(words: list[str]) -> int:
    """Write a checkpoint from weights of another program.

    Raises:
        ConfigError: an argument is wrong, the weights do not fit the config's model, or the output cannot be written.
        SpecError: the spec does not fit the model.
    """
    if not words or words in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    rest, chosen = take_option(words, "--format", FORMATS)
    rest, output = take_value(rest, "--output")
    rest, force = take_flag(rest, "--force")
    if not rest or rest[0].startswith("-"):
        raise ConfigError("import wants a file or a folder first: lightning-tying checkpoint import FILE --format …")
    if chosen is None or output is None or not find_configs(rest):
        raise ConfigError(f"import wants --format (one of {', '.join(FORMATS)}), --config RUN.yaml and --output OUT.")
    source, target = Path(rest[0]), Path(output)
    check_target(target, force=force)
    weights = read_safetensors(source) if chosen == "safetensors" else read_pretrained(source)
    untied, sharing = make_untied(rest[1:], more=("format", "output"))
    model = fill_model(untied, sharing, weights, source)
    content = make_checkpoint(model)
    write_checkpoint(content, target, force=force)
    print(f"written: {target} ({target.stat().st_size:,} bytes, {len(weights):,} names read)")
    return 0


def fill_model(
    untied: LightningModule, sharing: SharingSource | None, weights: Mapping[str, Tensor], source: Path
) -> LightningModule:
    """The tied model with the weights: those of the tied network are loaded, those of the untied one are solved.

    Raises:
        ConfigError: they fit neither.
        SpecError: the spec does not fit the model.
    """
    tied = tie_copy(untied, sharing)
    for model, solve in ((tied, False), (untied, True)):
        state = fit_names(model, weights, prefixes(model))
        if state is None:
            continue
        load_state(model, state, str(source))
        return tie_copy(untied, sharing) if solve else model
    raise ConfigError(explain_misfit(untied, weights, source))


def prefixes(model: LightningModule) -> list[str]:
    """What may stand before the names of a file: nothing, the network's path, that of a network of transformers."""
    network: nn.Module = model.tied_network if isinstance(model, WatchedModule) else model
    inside = "network." if network is not model else ""
    return ["", inside, *(f"{path}." if path else "" for path, _ in find_pretrained(model))]


def explain_misfit(untied: LightningModule, weights: Mapping[str, Tensor], source: Path) -> str:
    """Why weights fit neither the tied nor the untied model."""
    wanted = untied.state_dict()
    best = max(prefixes(untied), key=lambda prefix: sum(prefix + name in wanted for name in weights))
    here = {best + name for name in weights}
    lacking, strange = sorted(wanted.keys() - here), sorted(here - wanted.keys())
    shapes = [name for name in sorted(here & wanted.keys()) if weights[name[len(best) :]].shape != wanted[name].shape]
    parts = [
        f"{what}: {', '.join(names[:5])}"
        for what, names in (("missing", lacking), ("unexpected", strange), ("of another shape", shapes))
        if names
    ]
    return f"The weights of {source} do not fit the model of the config: {'; '.join(parts)}."


def make_checkpoint(model: LightningModule) -> dict[str, Any]:
    """What Lightning's checkpoint of weights alone holds."""
    content: dict[str, Any] = {
        "epoch": 0,
        "global_step": 0,
        WRITTEN_BY_LIGHTNING: version("lightning"),
        STATE: dict(model.state_dict()),
        "hparams_name": "kwargs",
        "hyper_parameters": dict(cast(Any, model).hparams),
    }
    if isinstance(model, WatchedModule):
        write_content(model, content)
    return content
