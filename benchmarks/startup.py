"""What does the package cost before any work? Import time, and `--help` against a bare LightningCLI's."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import ratio_by_round, time_in_turn, write_result

BARE_CLI = """
import sys
from lightning.pytorch.cli import LightningCLI
sys.argv = ["bare", "--help"]
LightningCLI(subclass_mode_model=True, subclass_mode_data=True)
"""


def _python(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        bare.write_text(BARE_CLI, encoding="utf-8")
        ours = "import sys; from lightning_tying.cli import main; sys.exit(main(sys.argv[1:]))"
        timings = time_in_turn(
            {
                "import torch": lambda: _python("-c", "import torch"),
                "from lightning_tying import tie": lambda: _python("-c", "from lightning_tying import tie"),
                "bare --help": lambda: _python(str(bare)),
                "our --help": lambda: _python("-c", ours, "--help"),
            },
            rounds=5,
            warmup=1,
        )
    added = timings["from lightning_tying import tie"].median - timings["import torch"].median
    ratio = ratio_by_round(timings["our --help"], timings["bare --help"])
    low, high = ratio.spread
    rows = "\n".join(f"| {name} | {timing} |" for name, timing in timings.items())
    write_result(
        "startup",
        "Start-up: import and help",
        f"Whole processes, 5 rounds in turn.\n\n| process | time |\n|---|---|\n{rows}\n\n"
        f"`from lightning_tying import tie` adds **{1000 * added:.0f} ms** to `import torch` (limit 150).\n"
        f"`lightning-tying --help` takes **{ratio.median:.2f}** × a bare LightningCLI's `--help` "
        f"(quartiles {low:.2f} … {high:.2f}; limit 1.2).",
    )


if __name__ == "__main__":
    main()
