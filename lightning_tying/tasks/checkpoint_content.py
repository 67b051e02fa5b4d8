"""What a checkpoint says of sharing: a tied module and a checkpoint go in, the spec is written, or compared."""

# pyright: reportUnknownMemberType=false
# Lightning and torch are typed in part only.

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from lightning_tying.errors import ConfigError
from lightning_tying.spec.dumper import dump_spec
from lightning_tying.tasks.kept_maps import MAPS_KEY, check_maps, read_maps, write_maps

if TYPE_CHECKING:
    from lightning_tying.tasks.tied_module import TiedModule

CHECKPOINT_KEY = "sharing"


def write_content(module: TiedModule, checkpoint: dict[str, Any]) -> None:
    """Put the spec and the content of its maps into a checkpoint of Lightning."""
    spec = module.tied_spec
    if spec is not None:
        checkpoint[CHECKPOINT_KEY] = {"spec": dump_spec(spec), MAPS_KEY: write_maps(module.maps)}


def check_content(module: TiedModule, checkpoint: dict[str, Any]) -> None:
    """Compare a checkpoint's spec with the module's.

    Raises:
        ConfigError: they differ, or one of their maps does, so weights would be joined or parted without notice.
    """
    spec = module.tied_spec
    saved = cast("dict[str, Any]", checkpoint.get(CHECKPOINT_KEY) or {})
    mine = "" if spec is None else dump_spec(spec)
    theirs = str(saved.get("spec", ""))
    if spec is not None and mine == theirs:
        check_maps(read_maps(saved.get(MAPS_KEY) or {}), module.maps, spec.folder)
    if not theirs or mine == theirs:
        return
    raise ConfigError(
        "The checkpoint was made with another sharing spec.\n"
        f"The checkpoint's:\n{theirs.rstrip()}\nThis module's:\n{mine.rstrip() or '(none)'}\n"
        "Give the module the checkpoint's spec, or start from the weights alone with --init_from."
    )
