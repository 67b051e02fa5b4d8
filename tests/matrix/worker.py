"""Train cases in one mode, in a process of its own: `python -m tests.matrix.worker MODE OUT FIRST CASE …`.

FIRST is the folder of the reference, whose first values lazy networks start from; for the reference itself it is OUT.
Each rank writes OUT/‹case›.rank‹r›.pt; a case that was refused, or that failed, leaves OUT/‹case›.error.txt.
"""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from pathlib import Path

import torch
from lightning.pytorch import Trainer, seed_everything

from lightning_tying.errors import TyingError
from tests.matrix.modes import MODES, REFERENCES, Mode
from tests.matrix.task import CLIP, STEPS, MatrixTask


def train(mode: Mode, name: str, out: Path, first: Path, *, steps: int = STEPS, resume: Path | None = None) -> None:
    """Fit one case, or go on with it from the checkpoint `resume`, up to a number of steps."""
    seed_everything(1, verbose=False)
    task = MatrixTask(name, out, lazy=mode.lazy, keep_first=out == first)
    trainer = Trainer(
        accelerator="cpu", max_epochs=-1, max_steps=steps, gradient_clip_val=CLIP, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        use_distributed_sampler=False, default_root_dir=out, **mode.trainer_options(),
    )  # fmt: skip
    start = first / f"{name}.first.ckpt" if mode.lazy and mode.reference == "single" else resume
    model = torch.compile(task, backend=os.environ.get("MATRIX_BACKEND", "aot_eager")) if mode.compiled else task
    trainer.fit(model, ckpt_path=start, weights_only=True)  # type: ignore[arg-type]


def main(mode: str, out: Path, first: Path, names: list[str]) -> None:
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", module="lightning|torch")
    for name in names:
        try:
            train((MODES | REFERENCES)[mode], name, out, first)
        except TyingError as error:
            _write(out, name, f"refused: {error}")
        except Exception as error:  # the other cases of this process go on; the table shows what it was
            _write(out, name, f"failed: {type(error).__name__}: {error}\n{traceback.format_exc()}")


def _write(out: Path, name: str, text: str) -> None:
    (out / f"{name}.error.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
