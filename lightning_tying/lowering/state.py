"""What a tied module remembers: its plan and the book-keeping of its hooks, as one plain attribute of the module."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import nn
from torch.utils.hooks import RemovableHandle

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.errors import ApplyError
from lightning_tying.lowering.initial.initial_values import InitialReport
from lightning_tying.lowering.penalty_program import PenaltyProgram
from lightning_tying.lowering.plan import Plan
from lightning_tying.lowering.resolve import walk_modules
from lightning_tying.lowering.state_dicts.conflicts import ConflictPolicy

_NAME = "_lightning_tying"


@dataclass
class TiedState:
    """The attribute of a tied root; `deepcopy` and `pickle` take it along with the module.

    Args:
        plan: what is tied.
        handles: of the load hooks, to remove them.
        pending: groups whose keeper is on the meta device and whose value is drawn or solved once it is real.
        report: how far the initial values were from the sites.
        whole: the plan before some of its sites were untied; None while all of it holds.
        penalties: what computes the plan's penalties, made when it is first asked for.
        on_conflict: what becomes of weights with two values for one parameter.
    """

    plan: Plan
    handles: tuple[RemovableHandle, ...] = ()
    pending: frozenset[ParameterName] = frozenset()
    report: InitialReport = field(default_factory=InitialReport)
    whole: Plan | None = None
    penalties: tuple[PenaltyProgram, ...] | None = None
    on_conflict: ConflictPolicy = "error"


def read_state(module: nn.Module) -> TiedState | None:
    """The state of this very module, None when it is not a tied root."""
    state = vars(module).get(_NAME)  # not getattr: a wrapper's may answer with its child's
    return state if isinstance(state, TiedState) else None


def write_state(module: nn.Module, state: TiedState) -> None:
    """Make `module` a tied root, or change what it remembers."""
    setattr(module, _NAME, state)


def clear_state(module: nn.Module) -> None:
    """Forget the plan."""
    delattr(module, _NAME)


def find_tied(module: nn.Module) -> Iterator[tuple[str, nn.Module, TiedState]]:
    """Every tied root in `module`, itself included: its FQN, the module, what it remembers."""
    for path, part in walk_modules(module):
        state = read_state(part)
        if state is not None:
            yield path, part, state


def require_state(module: nn.Module) -> TiedState:
    """The state of a tied module.

    Raises:
        ApplyError: it is not tied; the text names the tied modules inside it.
    """
    state = read_state(module)
    if state is not None:
        return state
    inside = [path for path, _, _ in find_tied(module)]
    hint = (
        f" Tied inside it: {', '.join(inside)}; ask for one of these." if inside else " Call tie(module, spec) first."
    )
    raise ApplyError(f"This {type(module).__name__} is not tied.{hint}")
