"""What a `copy` takes its values from: a file's tensors, or the values that sites of the module have now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from torch import Tensor, nn

from lightning_tying.checkpoints.read import read_plain, refuse_sharded
from lightning_tying.checkpoints.safetensors_file import read_safetensors
from lightning_tying.errors import ConfigError
from lightning_tying.graph.syncs.sync_sets import SyncPlan
from lightning_tying.lowering.members import find_members

_NETWORK = "network."  # under which a task has its network


@dataclass
class SourceFiles:
    """The files of a spec's copies, each read once.

    Args:
        folder: what their paths are relative to; None for the working directory.
        root: the module that values are copied into.
    """

    folder: Path | None
    root: nn.Module
    read: dict[str, Mapping[str, Tensor]] = field(default_factory=dict[str, Mapping[str, Tensor]])

    def names(self, file: str) -> Sequence[str]:
        """The names of a file's tensors, without the `network.` of a task.

        Raises:
            ConfigError: the file is missing or cannot be read.
        """
        if file not in self.read:
            self.read[file] = _read((self.folder or Path()) / file, self.root)
        return list(self.read[file])


def find_values(plan: SyncPlan, root: nn.Module, files: SourceFiles) -> dict[str, Tensor]:
    """The values of a copy, by the FQN of the site that gets them; copies, so that no write changes a source.

    Raises:
        ConfigError: a tensor of a file has another shape than its site.
    """
    members = find_members(root)
    found: dict[str, Tensor] = {}
    for each in plan.sets:
        [site], [source] = each.sites, each.sources
        slot = members[site].slot
        if plan.sync.file is not None:
            value = files.read[plan.sync.file][source]
        else:
            origin = members[source].slot
            value = cast(Tensor, getattr(origin.module, origin.name)).detach().clone()
        shape = cast(Tensor, getattr(slot.module, slot.name)).shape
        if value.shape != shape:
            raise ConfigError(
                f"{plan.sync.location}: {site} is {list(shape)} and {source} of {plan.sync.file} is "
                f"{list(value.shape)}; a sync needs equal shapes. Take it out with except."
            )
        found[site] = value
    return found


def _read(path: Path, root: nn.Module) -> Mapping[str, Tensor]:
    refuse_sharded(path)
    content = read_safetensors(path) if path.suffix == ".safetensors" else read_plain(path)
    if not isinstance(content, Mapping):
        raise ConfigError(f"{path} holds an object of type {type(content).__name__}, not a checkpoint or a state dict.")
    whole = cast("Mapping[str, object]", content)
    state = whole.get("state_dict", whole)
    items = cast("Mapping[str, object]", state).items() if isinstance(state, Mapping) else ()
    tensors = {str(name): value for name, value in items if isinstance(value, Tensor)}
    inside = {name.removeprefix(_NETWORK): value for name, value in tensors.items() if name.startswith(_NETWORK)}
    has_own = any(name.startswith(_NETWORK) for name, _ in root.named_parameters())
    return inside if inside and not has_own else tensors
