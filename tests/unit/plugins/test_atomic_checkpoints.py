"""AtomicCheckpoints: a file is there whole or not at all, and what was there before stays."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_tying.checkpoints.atomic_write import (
    name_partial,
    replace_folder,
    sweep_partial,
    write_atomically,
)
from lightning_tying.errors import ConfigError
from lightning_tying.plugins import AtomicCheckpoints
from lightning_tying.plugins.atomic_checkpoints import count_bytes
from tests import starts

NOBODY = 65534


def save(value: float, path: Path, rows: int = 4) -> None:
    AtomicCheckpoints().save_checkpoint({"weight": torch.full((rows, 100), value)}, path)


def load(path: Path) -> float:
    return float(torch.load(path, weights_only=True)["weight"][0, 0])


def test_a_file_is_written_and_written_over(tmp_path: Path) -> None:
    path = tmp_path / "new" / "last.ckpt"
    save(1.0, path)
    save(2.0, path)
    assert load(path) == 2.0
    assert [each.name for each in path.parent.iterdir()] == ["last.ckpt"]
    loaded = AtomicCheckpoints().load_checkpoint(path, weights_only=True)
    assert loaded["weight"].shape == (4, 100)
    AtomicCheckpoints().remove_checkpoint(path)
    assert not path.exists()


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    save(1.0, tmp_path / "best.ckpt")
    (tmp_path / "last.ckpt").symlink_to("best.ckpt")
    save(2.0, tmp_path / "last.ckpt")
    assert load(tmp_path / "best.ckpt") == 1.0
    assert not (tmp_path / "last.ckpt").is_symlink()


FULL = """
import resource, signal, sys, torch
from pathlib import Path
from lightning_tying.errors import ConfigError
from lightning_tying.plugins import AtomicCheckpoints
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    AtomicCheckpoints().save_checkpoint({"weight": torch.zeros(1000, 100)}, Path(sys.argv[1]))
except ConfigError as error:
    sys.exit(str(error))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX's")
@pytest.mark.parametrize("limit", [200, 399_000, 400_900])  # at its begin, in a tensor, in the list of contents
def test_a_full_disk_leaves_the_file_that_was_there(limit: int, tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    save(1.0, path)
    reader, writer = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), "rw", strict=True))
    with writer:  # a pipe, for a file would be cut off at the limit as well
        process = starts.start(["-c", FULL, str(path), str(limit)], out=writer)
    with reader:
        said = reader.read().strip()
    assert process.wait(timeout=120) == 1, said
    assert "\n" not in said and said.startswith(f"{path} cannot be written: File too large. About 0.4 MB are needed")
    assert said.endswith("The file that was there is as it was.")
    assert load(path) == 1.0
    assert [each.name for each in tmp_path.iterdir()] == ["last.ckpt"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_read_only_folder_is_told_and_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    save(1.0, path)
    for folder in (tmp_path, *list(tmp_path.parents)[:3]):
        folder.chmod(0o555 if folder == tmp_path else 0o755)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        said = b"written"
        try:
            if os.getuid() == 0:
                os.setuid(NOBODY)  # the superuser may write anywhere
            save(2.0, path)
        except ConfigError as error:
            said = str(error).encode()
        finally:
            os.write(writer, said)
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        assert pipe.read() == f"{path} cannot be written: Permission denied. The file that was there is as it was."
    tmp_path.chmod(0o755)
    assert load(path) == 1.0


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(ConfigError, match="runs is no folder"):
        save(1.0, tmp_path / "runs" / "last.ckpt")


def test_what_fails_while_it_is_pickled_leaves_nothing(tmp_path: Path) -> None:
    save(1.0, tmp_path / "last.ckpt")
    with pytest.raises((pickle.PicklingError, AttributeError)):
        AtomicCheckpoints().save_checkpoint({"weight": lambda: None}, tmp_path / "last.ckpt")
    assert load(tmp_path / "last.ckpt") == 1.0
    assert len(list(tmp_path.iterdir())) == 1


def test_what_dead_processes_left_is_swept_and_that_of_living_ones_is_not(tmp_path: Path) -> None:
    mine = name_partial(tmp_path / "last.ckpt")
    names = {
        "dead": mine.name.replace(f"-{os.getpid()}.", "-4194305."),  # larger than any process number
        "alive": mine.name.replace(f"-{os.getpid()}.", f"-{os.getppid()}."),
        "elsewhere": ".last.ckpt.another_host-4194305.partial",
        "foreign": ".unrelated.partial",
    }
    for name in names.values():
        (tmp_path / name).write_text("half")
    save(1.0, tmp_path / "last.ckpt")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"last.ckpt", names["alive"], names["elsewhere"], names["foreign"]}


def test_a_partial_folder_is_swept_too(tmp_path: Path) -> None:
    partial = name_partial(tmp_path / "last.ckpt")
    (partial / "inside").mkdir(parents=True)
    assert sweep_partial(tmp_path) == [partial]
    assert list(tmp_path.iterdir()) == []
    assert sweep_partial(tmp_path / "nowhere") == []


def test_an_error_in_the_block_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def interrupt() -> None:
        with write_atomically(path) as file:
            file.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_takes_the_place_of_another(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "content").write_text(name)
    replace_folder(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old" / "content").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_bytes_are_counted_once_for_shared_tensors() -> None:
    weight = torch.zeros(10, 10)
    assert count_bytes({"a": weight, "b": [weight.T, torch.zeros(2, dtype=torch.float64)], "c": 3}) == 400 + 16


class Net(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def training_step(self, batch: list[torch.Tensor], batch_idx: int) -> torch.Tensor:
        return self.layer(batch[0]).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_a_trainer_takes_it_and_a_storage_option_is_refused(tmp_path: Path) -> None:
    plugin = pickle.loads(pickle.dumps(AtomicCheckpoints()))
    trainer = Trainer(
        accelerator="cpu", max_steps=1, plugins=[plugin], logger=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(Net(), DataLoader(TensorDataset(torch.ones(2, 2)), batch_size=1))
    assert trainer.strategy.checkpoint_io is plugin
    with pytest.raises(TypeError, match="storage_options"):
        trainer.save_checkpoint(tmp_path / "x.ckpt", storage_options={"a": 1})
