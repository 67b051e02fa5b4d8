"""`lightning-tying checkpoint export`: a checkpoint goes in, a file or folder for other programs comes out."""

# pyright: reportUnknownMemberType=false
# Lightning is typed in part only.

from __future__ import annotations

import sys
from pathlib import Path

from lightning.pytorch import LightningModule
from torch import Tensor, nn

from lightning_tying.checkpoints.exported_program import export_program
from lightning_tying.checkpoints.onnx_file import check_onnx, export_onnx
from lightning_tying.checkpoints.pretrained_folder import export_pretrained
from lightning_tying.checkpoints.read import read_checkpoint, refuse_sharded
from lightning_tying.checkpoints.safetensors_file import export_safetensors
from lightning_tying.checkpoints.saved_sharing import read_sharing_entry
from lightning_tying.checkpoints.write import check_target
from lightning_tying.commands.checkpoints.example_inputs import find_inputs, take_inputs
from lightning_tying.commands.checkpoints.models import (
    load_checkpoint,
    make_untied,
    tie_saved,
    with_config,
)
from lightning_tying.commands.options import take_flag, take_option, take_value
from lightning_tying.errors import ConfigError
from lightning_tying.tasks.joint.joint_training import JointTraining
from lightning_tying.tasks.watch.watched_module import WatchedModule

FORMATS = ("safetensors", "hf", "onnx", "torch-export")
USAGE = """\
usage: lightning-tying checkpoint export FILE --format safetensors|hf|onnx|torch-export --output OUT
                                         [--config RUN.yaml] [--input TYPE[SIZES] …] [--once] [--force]
       lightning-tying checkpoint export FILE --member NAME --output OUT.ckpt [--config RUN.yaml] [--force]

Writes a checkpoint's weights, or its network, for other programs.

  safetensors    the weights, a shared tensor once, under its owner's name; the metadata names the other ones, so that
                 safetensors.torch.load_model fills the tied network. Needs no config
  hf             a folder that `from_pretrained` of the stock class reads, for a network of transformers. It knows the
                 ties of its own code and no others: what we share besides has its value under each name. With --once
                 every tensor is written once, and sharing.yaml; tie_class(Class, "OUT/sharing.yaml") reads that
  onnx           the network. Needs the packages of `pip install 'lightning-tying[onnx]'`
  torch-export   the network, for torch.export.load

  --member NAME  one model of a JointTraining with the shared weights that it reads, as a checkpoint of its task alone
  --config FILE  the run config of the model (hf, onnx, torch-export, --member); without it the config.yaml beside FILE
  --input INPUT  an example of what the network's forward takes, once for each argument: int64[2,16] or
                 float32[1,1,8,8]. Without it the model's example_input_array, or what its task reads
  --force        replace OUT"""


def export(words: list[str]) -> int:
    """Write a checkpoint in another format.

    Raises:
        ConfigError: an argument is wrong, the checkpoint does not fit the config, a package is missing, or the output
            cannot be written.
        SpecError: the checkpoint's spec does not fit the config's model.
    """
    if not words or words in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    rest, chosen = take_option(words, "--format", FORMATS)
    rest, output = take_value(rest, "--output")
    rest, force = take_flag(rest, "--force")
    rest, once = take_flag(rest, "--once")
    rest, member = take_value(rest, "--member")
    rest, inputs = take_inputs(rest)
    if not rest or rest[0].startswith("-"):
        raise ConfigError("export wants a checkpoint first: lightning-tying checkpoint export FILE --format …")
    if (chosen is None) == (member is None) or output is None:
        raise ConfigError(
            f"export wants --output OUT and one of --format ({', '.join(FORMATS)}) and --member, a model of a "
            "JointTraining."
        )
    file, target = Path(rest[0]), Path(output)
    refuse_sharded(file)
    check_target(target, force=force)
    if chosen is None:
        return _export_member(file, rest[1:], str(member), target, force=force)
    if chosen == "safetensors":
        size = export_safetensors(file, target, force=force)
    else:
        size = _export_network(chosen, file, rest[1:], inputs, target, once=once, force=force)
    print(f"written: {target} ({_bytes_on_disk(target):,} bytes, tensors {size:,})")
    return 0


def load_model(file: Path, words: list[str]) -> LightningModule:
    """The model of a checkpoint with its weights, tied by the checkpoint's own spec.

    Raises:
        ConfigError: there is no config, or the checkpoint does not fit it.
    """
    checkpoint = read_checkpoint(file)
    untied, sharing = make_untied(with_config(words, file), more=("format", "output", "input"))
    model = tie_saved(untied, read_sharing_entry(checkpoint), [None if sharing is None else sharing.spec])
    load_checkpoint(model, checkpoint, file)
    return model.eval()


def _export_member(file: Path, words: list[str], member: str, target: Path, *, force: bool) -> int:
    model = load_model(file, words)
    if not isinstance(model, JointTraining):
        raise ConfigError(f"{file} is of a {type(model).__name__}, which has no members; leave --member out.")
    model.on_load_checkpoint(read_checkpoint(file))
    model.export_member(member, target, force=force)
    print(f"written: {target} ({_bytes_on_disk(target):,} bytes)")
    return 0


def _export_network(
    chosen: str, file: Path, words: list[str], inputs: list[Tensor], target: Path, *, once: bool, force: bool
) -> int:
    if chosen == "onnx":
        check_onnx()
    model = load_model(file, words)
    network: nn.Module = model.tied_network if isinstance(model, WatchedModule) else model
    if chosen == "hf":
        return export_pretrained(network, target, once=once, force=force)
    examples = inputs or find_inputs(model)
    if chosen == "torch-export":
        return export_program(network, examples, target, force=force)
    report = export_onnx(network, examples, target, force=force)
    if not report.optimized:
        print("not simplified: that would have written shared tensors out", file=sys.stderr)
    if not report.holds_once:
        print(
            f"warning: the file's constants take {report.initializer_bytes:,} bytes, the network's tensors "
            f"{report.unique_bytes:,}: the exporter wrote some of them more than once.",
            file=sys.stderr,
        )
    return report.initializer_bytes


def _bytes_on_disk(target: Path) -> int:
    files = [target] if target.is_file() else [file for file in target.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
