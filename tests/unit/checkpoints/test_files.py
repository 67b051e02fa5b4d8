"""Reading, writing, consolidating and exporting: what is refused, and that each tensor is written once."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.distributed.checkpoint import FileSystemWriter
from torch.distributed.checkpoint.state_dict_saver import save

from lightning_tying import tie
from lightning_tying.checkpoints.consolidate import consolidate_checkpoint, number_parameters
from lightning_tying.checkpoints.describe import describe_checkpoint
from lightning_tying.checkpoints.exported_program import export_program
from lightning_tying.checkpoints.read import read_checkpoint
from lightning_tying.checkpoints.report_text import report_text
from lightning_tying.checkpoints.safetensors_file import export_safetensors, read_safetensors
from lightning_tying.checkpoints.write import write_checkpoint, write_file, write_folder
from lightning_tying.errors import ConfigError, ConflictError
from lightning_tying.models import DecoderLM

SPEC = 'version: 1\nshare:\n  - tie: ["embed.weight", "head.weight"]\n'
GROUPS = {"network.embed.weight": ["network.head.weight"]}


class Runs:
    """Unpickling it makes a file."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("executed"),)


def save_checkpoint(path: Path, **more: object) -> None:
    table = torch.arange(12.0).reshape(4, 3)
    state = {"network.embed.weight": table, "network.norm": torch.ones(3), "network.head.weight": table}
    content = {
        "pytorch-lightning_version": "2.6.6", "epoch": 1, "global_step": 7, "state_dict": state,
        "sharing": {"spec": SPEC, "version": 1, "hash": "abc", "maps": {}, "groups": GROUPS},
        "optimizer_states": [{"state": {0: {"exp_avg": table.clone()}}, "param_groups": [{"params": [0]}]}],
        "callbacks": {"KeepBest": {}}, **more,
    }  # fmt: skip
    torch.save(content, path)


def test_inspect_counts_shared_tensors_once(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a.ckpt")
    report = describe_checkpoint(tmp_path / "a.ckpt")
    assert (report.unique_bytes, report.gross_bytes) == (60, 108)
    assert [(group.name, group.aliases) for group in report.groups] == [
        ("network.embed.weight", ("network.head.weight",))
    ]
    assert (report.epoch, report.global_step, report.callbacks) == (1, 7, ("KeepBest",))
    assert (report.optimizer_tensors, report.optimizer_bytes, report.spec) == ((1,), 48, SPEC)
    assert "stored more than once" not in report_text(report)


def test_inspect_tells_of_tensors_that_are_stored_twice(tmp_path: Path) -> None:
    table = torch.ones(4, 3)
    state = {"network.embed.weight": table, "network.head.weight": table.clone()}
    save_checkpoint(tmp_path / "a.ckpt", state_dict=state)
    assert "stored more than once: 1 tensors, 48 bytes" in report_text(describe_checkpoint(tmp_path / "a.ckpt"))


@pytest.mark.parametrize("kind", ["missing", "text", "cut", "foreign", "code", "folder", "old pickle"])
def test_what_is_no_checkpoint_is_refused(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.ckpt"
    if kind == "text":
        path.write_text("hello")
    elif kind == "cut":
        save_checkpoint(path)
        path.write_bytes(path.read_bytes()[:-300])
    elif kind == "foreign":
        torch.save({"weight": torch.ones(2)}, path)
    elif kind == "code":
        save_checkpoint(path, extra=Runs())
    elif kind == "old pickle":
        path.write_bytes(pickle.dumps(Runs()))
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(ConfigError, match=r"x\.ckpt"):
        describe_checkpoint(path)
    assert not (tmp_path / "executed").exists()


def save_sharded(folder: Path, *, same: bool = True, aliases: bool = True) -> None:
    table = torch.arange(12.0).reshape(4, 3)
    state = {"network.embed.weight": table, "network.norm": torch.ones(3)}
    if aliases:
        state["network.head.weight"] = table.clone() if same else table + 1
    groups = [
        {"lr": 0.1, "betas": (0.9, 0.99), "params": ["network.norm"]},
        {"lr": 0.2, "params": ["network.embed.weight"]},
    ]
    states = {
        name: {"step": torch.tensor(2.0), "exp_avg": state[name] + 5} for group in groups for name in group["params"]
    }
    content = {"state_dict": state, "optimizer_0": {"state": states, "param_groups": groups}}
    save(content, storage_writer=FileSystemWriter(folder), no_dist=True)
    torch.save(
        {"pytorch-lightning_version": "2.6.6", "epoch": 0, "global_step": 2, "loops": {"fit_loop": 1},
         "sharing": {"spec": SPEC, "groups": GROUPS}}, folder / "meta.pt",
    )  # fmt: skip


@pytest.mark.parametrize("aliases", [True, False])
def test_consolidate_gives_one_file_with_each_tensor_once(tmp_path: Path, aliases: bool) -> None:
    save_sharded(tmp_path / "sharded", aliases=aliases)
    whole = consolidate_checkpoint(tmp_path / "sharded")
    write_checkpoint(whole, tmp_path / "whole.ckpt")
    content = read_checkpoint(tmp_path / "whole.ckpt")
    state = content["state_dict"]
    assert state["network.head.weight"].data_ptr() == state["network.embed.weight"].data_ptr()
    assert content["loops"] == {"fit_loop": 1}
    (optimizer,) = content["optimizer_states"]
    assert [group["params"] for group in optimizer["param_groups"]] == [[1], [0]]  # numbers go by the model's order
    torch.testing.assert_close(optimizer["state"][0]["exp_avg"], state["network.embed.weight"] + 5)
    report = describe_checkpoint(tmp_path / "whole.ckpt")
    assert report.unique_bytes == describe_checkpoint(tmp_path / "sharded").unique_bytes == 60
    assert all(tensor.copies == 1 for tensor in report.tensors)


def test_consolidate_refuses_two_values_for_one_tensor(tmp_path: Path) -> None:
    save_sharded(tmp_path / "sharded", same=False)
    with pytest.raises(ConflictError, match=r"embed\.weight and network\.head\.weight"):
        consolidate_checkpoint(tmp_path / "sharded")


@pytest.mark.parametrize("file", [".metadata", "__0_0.distcp", "meta.pt"])
def test_consolidate_refuses_a_cut_folder(tmp_path: Path, file: str) -> None:
    save_sharded(tmp_path / "sharded")
    (tmp_path / "sharded" / file).write_bytes((tmp_path / "sharded" / file).read_bytes()[:100])
    with pytest.raises(ConfigError):
        consolidate_checkpoint(tmp_path / "sharded")


def test_metadata_of_a_stranger_is_not_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_sharded(tmp_path / "sharded")
    (tmp_path / "sharded" / ".metadata").write_bytes(pickle.dumps(Runs()))
    with pytest.raises(ConfigError, match="was not written by torch"):
        describe_checkpoint(tmp_path / "sharded")
    assert not (tmp_path / "executed").exists()


def test_parameters_are_numbered_over_all_optimizers() -> None:
    first = {"state": {"b": {"step": 1}}, "param_groups": [{"params": ["b"]}]}
    second = {"state": {"a": {"step": 2}}, "param_groups": [{"params": ["a"]}]}
    made = number_parameters([first, second], ["a", "buffer", "b"])
    assert [each["state"] for each in made] == [{1: {"step": 1}}, {0: {"step": 2}}]


def test_a_target_is_whole_or_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "out" / "x.ckpt"
    write_checkpoint({"a": 1}, target)
    with pytest.raises(ConfigError, match="is there already"):
        write_checkpoint({"a": 2}, target)

    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    before = target.read_bytes()
    with pytest.raises(ConfigError, match="No space left on device"):
        write_file(target, fail, force=True)
    with pytest.raises(ConfigError, match="is a file"):
        write_folder(target, fail, force=True)
    assert target.read_bytes() == before and [each.name for each in target.parent.iterdir()] == ["x.ckpt"]


def test_a_folder_replaces_another_whole(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    write_folder(target, lambda path: (path / "old").touch())
    write_folder(target, lambda path: (path / "new").touch(), force=True)
    assert [each.name for each in target.iterdir()] == ["new"] and list(tmp_path.iterdir()) == [target]


def tied_decoder(vocabulary: int = 400) -> DecoderLM:
    model = DecoderLM(vocab_size=vocabulary, dim=16, depth=1, heads=2)
    tie(model, SPEC)
    return model


def test_safetensors_round_trip(tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors.torch")
    model = tied_decoder()
    state = {f"network.{name}": tensor for name, tensor in model.state_dict().items()}
    save_checkpoint(tmp_path / "a.ckpt", state_dict=state)
    size = export_safetensors(tmp_path / "a.ckpt", tmp_path / "a.safetensors")
    unique = sum(parameter.numel() * 4 for parameter in model.parameters())
    assert size == unique and (tmp_path / "a.safetensors").stat().st_size < unique * 1.01 + 4000
    by_hand = DecoderLM(vocab_size=400, dim=16, depth=1, heads=2)
    by_hand.head.weight = by_hand.embed.weight
    assert library.load_model(by_hand, tmp_path / "a.safetensors") == (set(), [])
    assert torch.equal(by_hand.embed.weight, model.embed.weight)
    again = tied_decoder()
    again.load_state_dict(library.load_file(tmp_path / "a.safetensors"))  # strict: missing aliases are filled
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), model.parameters(), strict=True))
    tensors = read_safetensors(tmp_path / "a.safetensors")
    assert tensors["head.weight"] is tensors["embed.weight"]
    (tmp_path / "a.safetensors").write_bytes(b"cut off")
    with pytest.raises(ConfigError, match="no safetensors file"):
        read_safetensors(tmp_path / "a.safetensors")


def test_an_exported_program_holds_each_tensor_once(tmp_path: Path) -> None:
    model = tied_decoder(8000).eval()
    target = tmp_path / "a.pt2"
    size = export_program(model, [torch.ones(2, 16, dtype=torch.int64)], target)
    table = 8000 * 16 * 4
    assert target.stat().st_size < size + table  # a second table would not fit
    tokens = torch.randint(400, (3, 9))
    torch.testing.assert_close(torch.export.load(target).module()(tokens), model(tokens))


def test_what_cannot_be_traced_is_refused(tmp_path: Path) -> None:
    class Branches(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(ConfigError, match="torch cannot export this Branches"):
        export_program(Branches(), [torch.ones(2)], tmp_path / "a.pt2")
    assert list(tmp_path.iterdir()) == []


def test_onnx_holds_each_tensor_once_and_computes_the_same(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    from lightning_tying.checkpoints.onnx_file import export_onnx

    model = DecoderLM(vocab_size=50, dim=16, depth=2, heads=2).eval()
    tie(model, {"share": [{"sites": "layers.{l}.{name*}", "equals": "Q[name] + low_rank(2)", "where": "ndim == 2"}]})
    report = export_onnx(model, [torch.ones(2, 16, dtype=torch.int64)], tmp_path / "a.onnx")
    assert report.holds_once
    session = runtime.InferenceSession(str(tmp_path / "a.onnx"))
    tokens = torch.randint(50, (3, 9))
    (found,) = session.run(None, {session.get_inputs()[0].name: tokens.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), model(tokens), atol=1e-5, rtol=1e-4)
