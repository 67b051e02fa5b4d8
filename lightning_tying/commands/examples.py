"""`lightning-tying examples DIR`: a folder's name goes in, the shipped configs lie in it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from lightning_tying.errors import ConfigError

USAGE = """\
usage: lightning-tying examples DIR

Copies the shipped configs to DIR: sharing/ (specs), train/ (run configs) and vocab/ (vocabularies). A file that is
there already is never written over."""

SHIPPED = (".yaml", ".json", ".safetensors")


def examples(words: list[str]) -> int:
    """Copy the configs, all or nothing.

    Args:
        words: the folder.

    Raises:
        ConfigError: no folder is given, or a file is there already.
    """
    if words in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    if len(words) != 1 or words[0].startswith("-"):
        raise ConfigError("Give one folder: lightning-tying examples DIR")
    target, source = Path(words[0]), find_configs()
    files = sorted(file.relative_to(source) for file in source.rglob("*") if file.suffix in SHIPPED)
    there = [str(target / file) for file in files if (target / file).exists()]
    if there:
        raise ConfigError(f"{there[0]} is there already; nothing was copied. Give another folder.")
    try:
        for file in files:
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / file, target / file)
    except OSError as error:
        raise ConfigError(f"{target} cannot be written: {error.strerror}.") from error
    print(
        f"{len(files)} files in {target}. Next: lightning-tying plan --config {_first(target, files)}", file=sys.stdout
    )
    return 0


def find_configs() -> Path:
    """The shipped configs: inside an installed package, or the checkout's `configs/`."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_configs", package.parent / "configs"):
        if (folder / "train").is_dir():
            return folder
    raise ConfigError("This installation has no configs; install the wheel again.")


def _first(target: Path, files: list[Path]) -> Path:
    runs = [file for file in files if file.parts[0] == "train"]
    preferred = [file for file in runs if file.stem == "multilingual_lm"]
    return target / (preferred or runs or files)[0]
