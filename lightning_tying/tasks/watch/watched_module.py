"""The hooks that keep a LightningModule tied: a spec goes in, a module that ties and checks itself comes out."""

# pyright: reportUnknownMemberType=false
# Lightning and torch are typed in part only.

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from torch import nn
from typing_extensions import override

from lightning_tying.algebra.expression import FileMap
from lightning_tying.algebra.maps.kept_maps import use_maps
from lightning_tying.api import tie, untie, verify
from lightning_tying.errors import ConfigError, TieBroken
from lightning_tying.graph.map_files_of_graph import find_maps
from lightning_tying.lowering.initial.whitening import weights_follow
from lightning_tying.lowering.plan import Plan
from lightning_tying.lowering.resolve import without_wrappers
from lightning_tying.lowering.state import find_tied, read_state
from lightning_tying.lowering.state_dicts.checkpoint import refuse_conflicts
from lightning_tying.lowering.state_dicts.conflicts import ConflictPolicy, check_policy
from lightning_tying.lowering.state_dicts.load_report import report_filled
from lightning_tying.parallel.sharding.written_units import WrittenUnits
from lightning_tying.spec.schema import SharingSpec
from lightning_tying.tasks.edits.edited_module import EditedModule
from lightning_tying.tasks.load_weights import load_weights
from lightning_tying.tasks.optimizers.check_optimizers import check_optimizers
from lightning_tying.tasks.sharing_source import Sharing, read_sharing, split_maps
from lightning_tying.tasks.watch.check_averages import check_averages
from lightning_tying.tasks.watch.check_resume import watch_strategy
from lightning_tying.tasks.watch.check_strategy import check_strategy
from lightning_tying.tasks.watch.check_syncs import check_syncs
from lightning_tying.tasks.watch.check_vocabularies import check_data_vocabularies
from lightning_tying.tasks.watch.checkpoint_content import check_content, write_content
from lightning_tying.tasks.watch.parallelize import parallelize
from lightning_tying.tasks.watch.penalized_step import add_penalty


class WatchedModule(EditedModule):
    """What `TiedModule` and `tie_any` have alike; stands before a LightningModule among the base classes.

    Its names begin with `tied` or `_tied`, since it also goes in front of classes that know nothing of it.
    """

    _tied_maps: Mapping[str, FileMap] | None = None
    _tied_from: Path | str | None = None
    _tied_policy: ConflictPolicy = "error"
    _tied_ready: bool = False
    tied_units: WrittenUnits | None = None
    """What FSDP2 gathers together, written by hand: lists of FQNs or patterns, or a YAML file of them."""

    @property
    def tied_network(self) -> nn.Module:
        """What the spec's patterns are relative to."""
        return self

    @property
    def tied_spec(self) -> SharingSpec | None:
        """The spec that the network is, or will be, tied by."""
        return self._tied_spec

    @property
    def tied_policy(self) -> ConflictPolicy:
        """What becomes of weights that have two values for one parameter."""
        return self._tied_policy

    @property
    def tied_plan(self) -> Plan | None:
        """The plan that the network was tied by; None before it is tied and without a spec."""
        return next((state.plan for _, _, state in find_tied(self.tied_network)), None)

    @property
    def tied_maps(self) -> Mapping[str, FileMap]:
        """The maps of the plan; before there is one, those that a checkpoint's hparams brought."""
        plan = self.tied_plan
        return (self._tied_maps or {}) if plan is None else find_maps(plan.graph)

    @override
    def configure_model(self) -> None:
        """Let the module build what it builds late, and tie it; the second call changes nothing."""
        before = parameter_names(self)
        super().configure_model()
        built = parameter_names(self) - before
        if self._tied_ready and built and self.tied_plan is not None:
            untie_root(self)  # what is new belongs to the same spec
            self._tied_ready = False
        if not self._tied_ready or self.is_untied():
            self.tie_now()
        check_strategy(self)
        parallelize(self)
        watch_strategy(self)

    @override
    def on_fit_start(self) -> None:
        """Refuse a network whose ties do not hold, or do not fit its optimizer or the vocabularies of its data."""
        super().on_fit_start()
        check_ties(self, "at fit start")
        check_optimizers(self)
        self.match_tied_states()
        check_data_vocabularies(self)
        check_syncs(self)

    @override
    def on_train_start(self) -> None:
        """Check once more, averaged copies too: some strategies load weights after `on_fit_start`."""
        super().on_train_start()
        check_ties(self, "at train start")
        check_averages(self)

    @override
    def on_train_epoch_start(self) -> None:
        """Look at the optimizer again: callbacks that unfreeze have changed it by now."""
        super().on_train_epoch_start()
        check_optimizers(self)

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to save broken ties; put the spec into the checkpoint."""
        super().on_save_checkpoint(checkpoint)
        check_ties(self, "before a save")
        write_content(self, checkpoint)

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Compare the checkpoint's spec with this module's, which follows edits of a training that began with it.

        Raises:
            ConfigError: they differ, or one of their maps does, so weights would be joined or parted without notice.
        """
        super().on_load_checkpoint(checkpoint)
        self.follow_tied_checkpoint(checkpoint)
        check_content(self, checkpoint)

    @override
    def load_state_dict(self, state_dict: Mapping[str, Any], *arguments: Any, **options: Any) -> Any:
        """As torch's; with `strict=False` the aliases that were filled count as missing, as torch would say."""
        result = super().load_state_dict(state_dict, *arguments, **options)
        return report_filled(self, state_dict, result, *arguments, **options)

    def start_watch(
        self, sharing: Sharing | SharingSpec | None, init_from: Path | str | None, on_conflict: ConflictPolicy
    ) -> None:
        """Read the spec that the module is tied by from now on; nothing is tied yet.

        Raises:
            ConfigError: a file is missing, or `on_conflict` is no policy.
        """
        check_policy(on_conflict)
        self._tied_policy = on_conflict
        content, self._tied_maps = split_maps(sharing)  # hparams of a checkpoint and saved configs bring maps along
        self._tied_spec = None if content is None else read_sharing(cast(Sharing, content))
        self._tied_from = init_from
        self._tied_ready = False
        self._watch_loads()

    def tie_now(self) -> None:
        """Load the weights to start from, then tie: both before an optimizer or a strategy sees the parameters.

        Raises:
            SpecError: the spec does not fit the module.
            ConfigError: the weights do not.
        """
        network = self.tied_network
        if self._tied_from is not None:
            self._load_weights(network, Path(self._tied_from))
        if self._tied_spec is not None:
            with use_maps(self._tied_maps or {}), weights_follow(self._tied_maps is not None):
                tie(network, self._tied_spec, on_conflict=self._tied_policy)
            add_penalty(self)
        self._tied_ready = True

    def is_untied(self) -> bool:
        """Whether a tie that the spec asks for is not there; a load may have parted all sites if it was told to."""
        return self._tied_spec is not None and self.tied_plan is None and self._tied_policy != "untie"

    def _load_weights(self, network: nn.Module, path: Path) -> None:
        if all(not parameter.is_meta for parameter in network.parameters()):
            load_weights(network, path)
        elif getattr(self, "_trainer", None) is not None:  # a plan alone is made on the meta device as well
            raise ConfigError(
                f"The network is on the meta device, where the weights {path} cannot be loaded (init_from). "
                "Build it on the CPU, or load the weights into a checkpoint first."
            )

    def _watch_loads(self) -> None:
        """Look at a checkpoint as a whole before it is loaded, and at the ties afterwards.

        The network's own hook comes after its siblings have been loaded.
        """
        hooks = cast("Iterable[object]", self._load_state_dict_pre_hooks.values())
        if all(getattr(hook, "hook", None) is not refuse_conflicts for hook in hooks):
            self.register_load_state_dict_pre_hook(refuse_conflicts)
            self.register_load_state_dict_post_hook(check_after_load)


def check_ties(module: WatchedModule, when: str) -> None:
    """Verify every tie of the plan.

    Raises:
        TieBroken: naming the group, its sites and the likely cause; or the module was never tied.
    """
    if module.is_untied():
        raise TieBroken(
            f"{type(module).__name__} has a sharing spec and is not tied (found {when}). A `configure_model` of its "
            "own has to call `super().configure_model()`, which ties."
        )
    if module.tied_plan is None:
        return
    try:
        verify(module.tied_network)
    except TieBroken as error:
        raise TieBroken(f"{error} (found {when})") from error


def check_after_load(module: nn.Module, _incompatible_keys: object) -> None:
    """Verify the ties when weights have been loaded; a hook that pickles."""
    if isinstance(module, WatchedModule) and module.tied_plan is not None:
        check_ties(module, "after a load")


def parameter_names(module: nn.Module) -> set[str]:
    """The FQNs of a module's parameters, whatever wraps their modules."""
    return {without_wrappers(name) for name, _ in module.named_parameters()}


def untie_root(module: WatchedModule) -> None:
    """Untie the network, if it is tied as a whole."""
    if read_state(module.tied_network) is not None:
        untie(module.tied_network)
