"""A module whose fit begins goes in; nothing comes out when somebody carries out what its spec shares in time."""

# pyright: reportUnknownMemberType=false
# Lightning is typed in part only.

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from lightning_tying.errors import ConfigError

if TYPE_CHECKING:
    from lightning_tying.tasks.watch.watched_module import WatchedModule

_CALLBACK = "ParameterSync"  # by name: callbacks and tasks do not import each other


def check_syncs(module: WatchedModule) -> None:
    """Refuse a run in which the spec's `sync` would be left undone without a word.

    Raises:
        ConfigError: no callback carries it out.
    """
    spec = module.tied_spec
    if spec is None or not spec.syncs:
        return
    callbacks = cast("Iterable[object]", getattr(getattr(module, "_trainer", None), "callbacks", ()))
    names = {kind.__name__ for each in callbacks for kind in type(each).__mro__}
    if _CALLBACK not in names:
        raise ConfigError(
            f"{spec.syncs[0].location}: the spec has a `sync`, and no callback carries it out. Add "
            "lightning_tying.callbacks.ParameterSync to the trainer's callbacks."
        )
