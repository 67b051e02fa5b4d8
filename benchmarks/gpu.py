"""What a CPU cannot show: on a machine with CUDA, a dated page of checks and costs; without one, a line that says so.

Run it with `python -m benchmarks.gpu`. Every check compares with the same training on the CPU in float32, or measures.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from benchmarks.measure import time_in_turn, write_result
from lightning_tying import tie, verify
from lightning_tying.errors import ApplyError
from lightning_tying.models import DecoderLM
from lightning_tying.models.linear import TokenEmbedding
from lightning_tying.tasks import TiedModule

PAIR = {"tie": ["embed.weight", "head.weight"]}
ALIASES = [PAIR, "layers.{l}.{name*} = block[name, cycle(l, 2)]"]
LOW_RANK = [PAIR, {"sites": "layers.{l}.mlp.{name}.weight", "equals": "Q[name] + low_rank(8)"}]
STEPS, VOCABULARY = 10, 500


class Small(TiedModule, LightningModule):
    """A language model on fixed random tokens."""

    def __init__(self, share: list[Any]) -> None:
        super().__init__()
        self.network = DecoderLM(VOCABULARY, dim=64, depth=4, heads=4)
        self.tie_network({"share": share})
        self.losses: list[float] = []

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        del batch_idx
        logits = self.network(batch[:, :-1])
        loss = functional.cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten())
        self.losses.append(loss.item())
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=1e-3)

    def train_dataloader(self) -> DataLoader[Any]:
        rows = torch.randint(0, VOCABULARY, (STEPS, 8, 65), generator=torch.Generator().manual_seed(1))
        return DataLoader(list(rows), batch_size=None)  # pyright: ignore[reportArgumentType]  # a list is a dataset


def train(share: list[Any], accelerator: str, *, compiled: bool = False, **options: Any) -> list[float]:
    """Losses of a short training; the ties are verified at its end."""
    seed_everything(1, verbose=False)
    module = Small(share)
    if compiled:
        module.network.compile()
    trainer = Trainer(
        accelerator=accelerator, devices=1, max_epochs=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False, **options,
    )  # fmt: skip
    trainer.fit(module)
    verify(module.network)
    return module.losses


def compare(accelerator: str, **options: Any) -> str:
    """The largest difference from float32 on the CPU, for aliases and for derived sites."""
    told: list[str] = []
    for name, share in (("aliases", ALIASES), ("low_rank", LOW_RANK)):
        expected, found = train(share, "cpu"), train(share, accelerator, **options)
        distance = max(abs(a - b) for a, b in zip(expected, found, strict=True))
        told.append(f"{name} {distance:.1e}")
    return ", ".join(told)


def refuse_fsdp1() -> str:
    """Whether a policy that parts embedding and head is refused before anything is wrapped."""
    try:
        train(ALIASES, "cuda", strategy=FSDPStrategy(auto_wrap_policy={TokenEmbedding}))
    except ApplyError as error:
        return f"refused: {str(error).splitlines()[0]}"
    return "NOT refused"


def run_deepspeed() -> str:
    """A training under ZeRO stages 2 and 3, where DeepSpeed is installed."""
    if importlib.util.find_spec("deepspeed") is None:
        return "skipped: deepspeed is not installed"
    return "; ".join(f"stage {stage}: {compare('cuda', strategy=DeepSpeedStrategy(stage=stage))}" for stage in (2, 3))


def run_lstm(device: str = "cuda") -> str:
    """Outputs of an LSTM with computed weights on the device (cuDNN) against the CPU."""
    torch.manual_seed(1)
    lstm = nn.LSTM(32, 32, num_layers=2, batch_first=True)
    tie(lstm, {"share": [{"sites": "weight_hh_l{l}", "equals": "H + low_rank(2)", "init": {"low_rank.B": "normal"}}]})
    inputs = torch.randn(4, 16, 32)
    expected = lstm(inputs)[0]
    found = lstm.to(device)(inputs.to(device))[0].cpu()
    return f"largest difference {(expected - found).detach().abs().max().item():.1e}"


def measure_costs(device: str = "cuda", rounds: int = 10) -> str:
    """Peak memory and the time of a step: untied, cycle and low_rank, larger than the others."""
    lines = ["", "", "| sharing | step | peak memory |", "|---|---|---|"]
    for name, share in (("none", []), ("cycle", ALIASES), ("low_rank", LOW_RANK)):
        torch.manual_seed(1)
        network = DecoderLM(8000, dim=512, depth=12, heads=8).to(device)
        if share:
            tie(network, {"share": share})
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
        tokens = torch.randint(0, 8000, (8, 257), device=device)

        def step(network: nn.Module = network, optimizer: Any = optimizer, tokens: Tensor = tokens) -> None:
            loss = functional.cross_entropy(network(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            torch.cuda.synchronize()

        torch.cuda.reset_peak_memory_stats()
        timing = time_in_turn({name: step}, rounds)[name]
        lines.append(f"| {name} | {timing} | {torch.cuda.max_memory_allocated() / 2**20:.0f} MiB |")
        del network, optimizer
        torch.cuda.empty_cache()
    return "\n".join(lines)


def checks() -> Mapping[str, Callable[[], str]]:
    """Every check by the name that the page gives it."""
    return {
        "float32": lambda: compare("cuda"),
        "16-mixed with its GradScaler": lambda: compare("cuda", precision="16-mixed", gradient_clip_val=1.0),
        "bf16-mixed": lambda: compare("cuda", precision="bf16-mixed"),
        "torch.compile (inductor)": lambda: compare("cuda", compiled=True),
        "FSDP2, one device": lambda: compare(
            "cuda", strategy=ModelParallelStrategy(data_parallel_size=1, tensor_parallel_size=1)
        ),
        "FSDP1, no policy": lambda: compare("cuda", strategy=FSDPStrategy()),
        "FSDP1, a policy that parts a group": refuse_fsdp1,
        "DeepSpeed": run_deepspeed,
        "cuDNN LSTM with computed weights": run_lstm,
        "costs": measure_costs,
    }


def attempt(check: Callable[[], str]) -> str:
    """What a check says, or how it failed; one failure does not hide the others."""
    try:
        return check()
    except Exception as error:
        traceback.print_exc()
        return f"**failed**: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


def main() -> int:
    """Run all checks and write the page; exit status 1 when one failed."""
    if not torch.cuda.is_available():
        print("No CUDA device is available, so none of the checks of benchmarks/gpu.py can run.")
        return 0
    results = {name: attempt(check) for name, check in checks().items()}
    body = "\n".join(f"* {name}: {result}" for name, result in results.items())
    device = torch.cuda.get_device_name()
    note = f"{device}, CUDA {torch.version.cuda}. Numbers are the largest difference of a loss from float32 on the CPU."
    write_result("gpu", "What a CPU cannot show", f"{note}\n\n{body}")
    return int(any(result.startswith(("**failed", "NOT")) for result in results.values()))


if __name__ == "__main__":
    sys.exit(main())
