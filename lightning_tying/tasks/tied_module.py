"""A mixin that keeps a network tied: spec and network go in, a LightningModule that checks itself comes out."""

# pyright: reportUnknownMemberType=false
# Lightning and torch are typed in part only.

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from torch import nn
from typing_extensions import override

from lightning_tying.algebra.expression import FileMap
from lightning_tying.algebra.maps.kept_maps import use_maps
from lightning_tying.api import tie, verify
from lightning_tying.errors import ConfigError, SpecError, TieBroken
from lightning_tying.lowering.checkpoint import refuse_conflicts
from lightning_tying.lowering.initial.whitening import weights_follow
from lightning_tying.lowering.plan import Plan
from lightning_tying.lowering.state import find_tied
from lightning_tying.spec.dumper import spec_to_data
from lightning_tying.spec.schema import SharingSpec
from lightning_tying.tasks.check_optimizers import check_optimizers
from lightning_tying.tasks.checkpoint_content import check_content, write_content
from lightning_tying.tasks.kept_maps import MAPS_KEY, find_maps, write_maps
from lightning_tying.tasks.load_weights import load_weights
from lightning_tying.tasks.parallelize import parallelize
from lightning_tying.tasks.penalized_step import add_penalty
from lightning_tying.tasks.sharing_source import Sharing, read_sharing, split_maps

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule as Base
else:
    Base = object  # so that modules of `lightning.pytorch` and of `pytorch_lightning` both take the mixin


class TiedModule(Base):
    """Ties `self.network` (or the module itself) and keeps watch; goes in front of any LightningModule.

    Works with `lightning.pytorch` and with `pytorch_lightning`::

        class MyModule(TiedModule, LightningModule):
            def __init__(self, sharing):
                super().__init__()
                self.network = MyNetwork()
                self.tie_network(sharing)

    A network that is too large to be built at once is given as a callable: `tie_network(sharing, build=MyNetwork)`
    in `__init__` leaves both building and tying to `configure_model`, which Lightning calls in the strategy's context.
    """

    _tied_spec: SharingSpec | None = None
    _build_network: Callable[[], nn.Module] | None = None
    _init_from: Path | str | None = None
    _network_ready: bool = False
    _kept_maps: Mapping[str, FileMap] | None = None

    def tie_network(
        self,
        sharing: Sharing | SharingSpec | None,
        *,
        build: Callable[[], nn.Module] | None = None,
        init_from: Path | str | None = None,
    ) -> None:
        """Tie the network by a spec, now or (with `build`) in `configure_model`.

        Args:
            sharing: a path, YAML text, a mapping or a spec; patterns are relative to `self.network` where there is
                one, else to the module. None leaves every parameter on its own.
            build: makes the network.
            init_from: a checkpoint or state dict of the untied network, loaded before tying.

        Raises:
            SpecError: the spec is wrong or does not fit the network.
            ConfigError: a file is missing, or the weights do not fit the network.
        """
        content, self._kept_maps = split_maps(sharing)  # hparams of a checkpoint and saved configs bring maps along
        self._tied_spec = None if content is None else read_sharing(cast(Sharing, content))
        if build is not None and self._tied_spec is not None and self._tied_spec.problems:
            raise SpecError(self._tied_spec.problems)  # the network that would show more is not there yet
        self._refuse_conflicts()
        self._build_network = build
        self._init_from = init_from
        self._network_ready = False
        self._remember_spec()
        if build is None:
            self._prepare_network()

    @override
    def configure_model(self) -> None:
        """Build and tie a network that was given as a callable; the second call does nothing."""
        super().configure_model()
        if not self._network_ready:
            self._prepare_network()
        parallelize(self)

    @property
    def tied_network(self) -> nn.Module:
        """What the spec's patterns are relative to: `self.network`, or the module where it has none."""
        network = getattr(self, "network", None)
        return network if isinstance(network, nn.Module) else self

    @property
    def plan(self) -> Plan | None:
        """The plan that the network was tied by; None before it is tied and without a spec."""
        return next((state.plan for _, _, state in find_tied(self.tied_network)), None)

    @override
    def on_fit_start(self) -> None:
        """Refuse to train a network whose ties do not hold, or an optimizer that does not fit it."""
        super().on_fit_start()
        self.check_ties("at fit start")
        check_optimizers(self)

    @override
    def on_train_start(self) -> None:
        """Check once more: some strategies load weights after `on_fit_start`."""
        super().on_train_start()
        self.check_ties("at train start")

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to save broken ties; put the spec into the checkpoint."""
        super().on_save_checkpoint(checkpoint)
        self.check_ties("before a save")
        write_content(self, checkpoint)

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Compare the checkpoint's spec with this module's.

        Raises:
            ConfigError: they differ, or one of their maps does, so weights would be joined or parted without notice.
        """
        super().on_load_checkpoint(checkpoint)
        check_content(self, checkpoint)

    def check_ties(self, when: str) -> None:
        """Verify every tie of the plan.

        Raises:
            TieBroken: naming the group, its sites and the likely cause.
        """
        if self.plan is None:
            return
        try:
            verify(self.tied_network)
        except TieBroken as error:
            raise TieBroken(f"{error} (found {when})") from error

    def _prepare_network(self) -> None:
        if self._build_network is not None:
            self.network = build_network(self._build_network)
        on_meta = any(parameter.is_meta for parameter in self.tied_network.parameters())
        if self._init_from is not None and not on_meta:
            load_weights(self.tied_network, Path(self._init_from))
        if self._tied_spec is not None:
            with use_maps(self._kept_maps or {}), weights_follow(self._kept_maps is not None):
                tie(self.tied_network, self._tied_spec)
            self._remember_spec()
            add_penalty(self)
        self._network_ready = True

    def _refuse_conflicts(self) -> None:
        """Look at a checkpoint as a whole: the network's own hook comes after its siblings have been loaded."""
        hooks = cast("Iterable[object]", self._load_state_dict_pre_hooks.values())
        if all(getattr(hook, "hook", None) is not refuse_conflicts for hook in hooks):
            self.register_load_state_dict_pre_hook(refuse_conflicts)

    @property
    def tied_spec(self) -> SharingSpec | None:
        """The spec that the network is, or will be, tied by."""
        return self._tied_spec

    @property
    def maps(self) -> Mapping[str, FileMap]:
        """The maps of the plan; before there is one, those that a checkpoint's hparams brought."""
        return (self._kept_maps or {}) if self.plan is None else find_maps(self.plan.graph)

    @property
    def _needs_files(self) -> bool:
        """Whether the spec names files, which need not be there where a checkpoint is loaded."""
        if self.plan is None:
            return self._kept_maps is not None
        inits = (group.policy.init for group in self.plan.graph.groups)
        return bool(self.maps) or any(init.kind == "svd_joint" and init.arguments for init in inits)

    def _remember_spec(self) -> None:
        """Write the content of the spec and its maps into hparams, so that `load_from_checkpoint` needs no file."""
        content: dict[str, Any] | None = None if self._tied_spec is None else dict(spec_to_data(self._tied_spec))
        if content is not None and self._needs_files:
            content[MAPS_KEY] = write_maps(self.maps)
        kept: dict[str, Any] = {"sharing": content}
        if "init_from" in self.hparams:
            kept["init_from"] = None  # its weights are in the checkpoint; the file need not exist elsewhere
        self.save_hyperparameters(kept)


def build_network(build: Callable[[], nn.Module]) -> nn.Module:
    """Call a network's maker.

    Raises:
        ConfigError: it wants an argument, or gives something that is not a module.
    """
    try:
        network = build()
    except TypeError as error:
        raise ConfigError(f"`network` could not be built: {error}.") from error
    if not isinstance(network, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance]  # a user's function
        raise ConfigError(f"`network` must give a torch.nn.Module; it gave an object of type {type(network).__name__}.")
    return network
