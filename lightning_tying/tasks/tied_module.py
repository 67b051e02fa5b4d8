"""A mixin that keeps a network tied: spec and network go in, a LightningModule that checks itself comes out."""

# pyright: reportUnknownMemberType=false
# Lightning and torch are typed in part only.

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from torch import nn
from typing_extensions import override

from lightning_tying.errors import ConfigError, SpecError
from lightning_tying.lowering.plan import Plan
from lightning_tying.lowering.state_dicts.conflicts import ConflictPolicy
from lightning_tying.spec.dumper import spec_to_data
from lightning_tying.spec.schema import SharingSpec
from lightning_tying.tasks.kept_maps import MAPS_KEY, write_maps
from lightning_tying.tasks.sharing_source import Sharing, SharingSource
from lightning_tying.tasks.watch.checkpoint_imports import guard_load
from lightning_tying.tasks.watch.watched_module import WatchedModule, untie_root


class TiedModule(WatchedModule):
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

    _build_network: Callable[[], nn.Module] | None = None

    def tie_network(
        self,
        sharing: Sharing | SharingSpec | None,
        *,
        build: Callable[[], nn.Module] | None = None,
        init_from: Path | str | None = None,
        on_conflict: ConflictPolicy = "error",
    ) -> None:
        """Tie the network by a spec, now or (with `build`) in `configure_model`.

        Args:
            sharing: a path, YAML text, a mapping or a spec; patterns are relative to `self.network` where there is
                one, else to the module. None leaves every parameter on its own.
            build: makes the network.
            init_from: a checkpoint or state dict of the untied network, loaded before tying.
            on_conflict: what becomes of weights that have two values for one parameter, as for `tie`.

        Raises:
            SpecError: the spec is wrong or does not fit the network.
            ConfigError: a file is missing, or the weights do not fit the network.
        """
        self.start_watch(sharing, init_from, on_conflict)
        if build is not None and self._tied_spec is not None and self._tied_spec.problems:
            raise SpecError(self._tied_spec.problems)  # the network that would show more is not there yet
        self._build_network = build
        self._remember_spec()
        if build is None:
            self.tie_now()

    def tie_again(
        self,
        sharing: Sharing | SharingSpec | None,
        init_from: Path | str | None = None,
        on_conflict: ConflictPolicy = "error",
    ) -> None:
        """Tie by another spec than `__init__` did, or from other weights; the way of building stays.

        Args:
            sharing: what `tie_network` takes; None for the spec that the module has.
            init_from: what `tie_network` takes.
            on_conflict: what `tie_network` takes.

        Raises:
            SpecError: the spec is wrong or does not fit the network.
            ConfigError: a file is missing, or the weights do not fit the network.
        """
        if sharing is not None or init_from is not None:
            untie_root(self)
        if sharing is None and self._tied_spec is not None:
            sharing = SharingSource(self._tied_spec, spec=self._tied_spec, maps=self._tied_maps)
        self.tie_network(sharing, build=self._build_network, init_from=init_from, on_conflict=on_conflict)

    @classmethod
    @override
    def load_from_checkpoint(
        cls, checkpoint_path: Any, map_location: Any = None, hparams_file: Any = None, *rest: Any, **kwargs: Any
    ) -> Self:
        """As Lightning's, with `weights_only=True` where nothing is said: then a checkpoint imports no module.

        Raises:
            ConfigError: the checkpoint names a class or a function of a module that is not imported.
        """
        if len(rest) < 2:
            kwargs.setdefault("weights_only", True)
        with guard_load(checkpoint_path, kwargs.get("weights_only", rest[1] if len(rest) > 1 else None)):
            return super().load_from_checkpoint(checkpoint_path, map_location, hparams_file, *rest, **kwargs)

    @property
    @override
    def tied_network(self) -> nn.Module:
        """What the spec's patterns are relative to: `self.network`, or the module where it has none."""
        network = getattr(self, "network", None)
        return network if isinstance(network, nn.Module) else self

    @property
    def plan(self) -> Plan | None:
        """The plan that the network was tied by; None before it is tied and without a spec."""
        return self.tied_plan

    @override
    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """As `nn.Module.parameters`.

        Raises:
            ConfigError: there are none yet, since `configure_model` builds the network: an optimizer is made too early.
        """
        found = list(super().parameters(recurse))
        if recurse and not found and self._build_network is not None and not self._tied_ready:
            raise ConfigError(
                f"{type(self).__name__} has no parameters yet: its network is built and tied in `configure_model`. "
                "LightningCLI makes the optimizer of `--optimizer` before that; give the module its own, with "
                "model.init_args.optimizer or `configure_optimizers`, or give it a network that is built."
            )
        return iter(found)

    @override
    def tie_now(self) -> None:
        if self._build_network is not None:
            self.network = build_network(self._build_network)
        super().tie_now()
        if self._tied_spec is not None:
            self._remember_spec()

    @override
    def adopt_tied_spec(self, spec: SharingSpec) -> None:
        super().adopt_tied_spec(spec)
        self._remember_spec()

    def _remember_spec(self) -> None:
        """Write the content of the spec and its maps into hparams, so that `load_from_checkpoint` needs no file."""
        content: dict[str, Any] | None = None if self._tied_spec is None else dict(spec_to_data(self._tied_spec))
        if content is not None and self._needs_files:
            content[MAPS_KEY] = write_maps(self.tied_maps)
        kept: dict[str, Any] = {"sharing": content}
        if "init_from" in self.hparams:
            kept["init_from"] = None  # its weights are in the checkpoint; the file need not exist elsewhere
        self.save_hyperparameters(kept)

    @property
    def _needs_files(self) -> bool:
        """Whether the spec names files, which need not be there where a checkpoint is loaded."""
        plan = self.tied_plan
        if plan is None:
            return self._tied_maps is not None
        inits = (group.policy.init for group in plan.graph.groups)
        return bool(self.tied_maps) or any(init.kind == "svd_joint" and init.arguments for init in inits)


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
