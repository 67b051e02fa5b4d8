"""Rows of the survival table: loading, copying, pickling, other processes."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from functools import cache

import torch
import torch.multiprocessing as mp
from torch import nn

from lightning_tying.api import get_plan, verify
from tests.survival.cases import KINDS, TOKENS, Kind, Net, make, make_untied
from tests.survival.operation import HOLDS, RESTORED, Operation, detected, every, refused

SECONDS = 120


def loaded(net: Net, kind: Kind) -> None:
    net.load_state_dict(make(kind).state_dict())


def assigned(net: Net, kind: Kind) -> None:
    net.load_state_dict(make(kind).state_dict(), assign=True)


def without_aliases(net: Net, kind: Kind) -> None:
    """Each group under its keeper's name only."""
    net.load_state_dict(_drop(make(kind), keep=0))


def without_owners(net: Net, kind: Kind) -> None:
    net.load_state_dict(_drop(make(kind), keep=-1))


def aliased_dict(net: Net, kind: Kind) -> None:
    """From a file: all names of a group are views of one tensor."""
    file = io.BytesIO()
    torch.save(make(kind).state_dict(), file)
    file.seek(0)
    net.load_state_dict(torch.load(file, weights_only=True), assign=True)


def conflicting(net: Net, kind: Kind) -> None:
    state = {name: value.clone() for name, value in make(kind).state_dict().items()}
    group = next(group for group in get_plan(make(kind)).graph.groups if str(group.name) == "W")
    state[group.places[-1]] += 1
    net.load_state_dict(state)


def untied_weights(net: Net, _kind: Kind) -> None:
    net.load_state_dict(make_untied().state_dict())


def part_assigned(net: Net, _kind: Kind) -> None:
    net.two.load_state_dict({name: value.clone() for name, value in net.two.state_dict().items()}, assign=True)


def deep_copied(net: Net, _kind: Kind) -> nn.Module:
    net(TOKENS)  # also after a forward
    return copy.deepcopy(net)


def piece_copied(net: Net, _kind: Kind) -> nn.Module:
    piece = copy.deepcopy(net.two)
    held = {id(parameter) for parameter in net.parameters()}
    assert not any(id(parameter) in held for parameter in piece.parameters())
    return net


def shallow_copied(net: Net, _kind: Kind) -> nn.Module:
    twin = copy.copy(net)
    assert list(map(id, twin.parameters())) == list(map(id, net.parameters()))
    return twin


def pickled(net: Net, _kind: Kind) -> nn.Module:
    net(TOKENS)
    return pickle.loads(pickle.dumps(net))  # type: ignore[no-any-return]


def saved(net: Net, _kind: Kind) -> nn.Module:
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    return torch.load(file, weights_only=False)  # type: ignore[no-any-return]


def through(method: str) -> Callable[[Net, Kind], nn.Module]:
    def run(_net: Net, kind: Kind) -> nn.Module:
        return pickle.loads(_send(method)[kind])  # type: ignore[no-any-return]

    return run


@cache
def _send(method: str) -> dict[Kind, bytes]:
    """All three networks through one child process of that start method, which verifies them and sends them back."""
    context = mp.get_context(method)
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_answer, args=({kind: make(kind) for kind in KINDS}, there))
    child.start()
    try:
        assert here.poll(SECONDS), "the child process does not answer"
        answer: dict[Kind, bytes] | str = here.recv()
        assert isinstance(answer, dict), answer
        return answer
    finally:
        child.join(5)
        if child.is_alive():
            child.kill()


def _answer(nets: dict[Kind, Net], pipe: object) -> None:
    torch.set_num_threads(1)
    try:
        for net in nets.values():
            verify(net)
            net(TOKENS).sum().backward()
            net.zero_grad()
        pipe.send({kind: pickle.dumps(net) for kind, net in nets.items()})  # type: ignore[attr-defined]
    except Exception as error:
        pipe.send(repr(error))  # type: ignore[attr-defined]


def _drop(net: Net, keep: int) -> dict[str, torch.Tensor]:
    extra = {place for group in get_plan(net).graph.groups for place in group.places if place != group.places[keep]}
    return {name: value for name, value in net.state_dict().items() if name not in extra}


OPERATIONS = (
    Operation("`load_state_dict`", loaded, every(HOLDS)),
    Operation("`load_state_dict(assign=True)`", assigned, every(RESTORED)),
    Operation("`load_state_dict` without the aliases", without_aliases, every(RESTORED)),
    Operation("`load_state_dict` with the last alias alone", without_owners, every(RESTORED)),
    Operation("`load_state_dict(assign=True)` of an aliased file", aliased_dict, every(RESTORED)),
    Operation("`load_state_dict` of different values for one group", conflicting, every(refused("another value"))),
    Operation(
        "`load_state_dict` of the untied model's weights",
        untied_weights,
        (refused("another value"), refused("tensor of its own"), refused("tensor of its own")),
    ),
    Operation(
        "`load_state_dict(assign=True)` of one member's module alone",
        part_assigned,
        every(detected("assign=True")),
    ),
    Operation("`copy.deepcopy`, after a forward too", deep_copied, every(HOLDS)),
    Operation("`copy.deepcopy` of a piece", piece_copied, every(HOLDS), note="The piece has parameters of its own."),
    Operation(
        "`copy.copy`",
        shallow_copied,
        every(HOLDS),
        note="torch's copy shares all children with the original: never untie or convert it.",
    ),
    Operation("`pickle`, after a forward too", pickled, every(HOLDS)),
    Operation("`torch.save(module)`", saved, every(HOLDS)),
    Operation("a spawned process", through("spawn"), every(HOLDS), control=False),
    Operation("a forked process", through("fork"), every(HOLDS), control=False),
)
