"""Names and import paths to classes, classes to signatures, and what is said where there is none."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest
import torch

from lightning_tying.algebra import registry
from lightning_tying.algebra.catalogue import CATALOGUE
from lightning_tying.algebra.expression import Call
from lightning_tying.algebra.registry import find_signature, find_transform, make_transform, register_transform
from lightning_tying.errors import ConfigError
from lightning_tying.spec.functions import FUNCTIONS
from lightning_tying.spec.mistakes import Mistake
from tests.calls import call
from tests.unit.algebra import own_transforms

HERE = "tests.unit.algebra.own_transforms"


@pytest.fixture
def lifted() -> Iterator[str]:
    register_transform("lifted", own_transforms.Lifted)
    yield "lifted"
    del FUNCTIONS["lifted"], registry._REGISTERED["lifted"]


def test_the_catalogue_is_what_specs_can_call():
    assert list(CATALOGUE) == list(FUNCTIONS)
    for name, cls in CATALOGUE.items():
        signature = FUNCTIONS[name]
        assert signature.brings == tuple(own.name for own in cls.brings)
        assert signature.fixed_map == cls.fixed_map
        taken = {"axes"} if name in ("flip", "permute") else {"formula", "sizes"} if name == "einsum" else None
        scalars = {argument.name for argument in signature.arguments if argument.kind != "value"}
        given = set(inspect.signature(cls).parameters)
        assert given == (taken or scalars | ({"cells"} if name == "project" else set()))


def test_the_defaults_of_classes_are_those_of_specs():
    for name, cls in CATALOGUE.items():
        defaults = {part.name: part.default for part in FUNCTIONS[name].arguments if part.default is not None}
        for parameter in inspect.signature(cls).parameters.values():
            if parameter.name in defaults:
                assert repr(parameter.default) == defaults[parameter.name]


def test_a_registered_transform_is_a_function(lifted):
    assert find_transform(lifted) is own_transforms.Lifted
    assert str(FUNCTIONS[lifted]) == "lifted(x, power, flag=False)"
    assert find_signature(lifted) is FUNCTIONS[lifted]
    assert FUNCTIONS[lifted].takes_index
    called = call(lifted, (2, 3), None, power=2)
    x, c = called.draw()
    torch.testing.assert_close(called(x, c), x**2 + c)
    assert torch.autograd.gradcheck(called, [x.requires_grad_(), c.requires_grad_()])


def test_an_import_path_is_a_function():
    called = call(f"{HERE}.Lifted", (2, 3), None, power=3)
    x, c = called.draw()
    torch.testing.assert_close(called(x, c), x**3 + c)
    assert str(find_signature(f"{HERE}.Lifted")) == f"{HERE}.Lifted(x, power, flag=False)"


def test_registering_again_replaces(lifted):
    again = type("Lifted", (own_transforms.Lifted,), {"__module__": HERE, "__qualname__": "Lifted"})
    register_transform(lifted, again)
    assert find_transform(lifted) is again
    with pytest.raises(ConfigError, match=r"own_transforms\.Lifted already"):
        register_transform(lifted, own_transforms.Endless)


@pytest.mark.parametrize(
    "name", ["low_rank", "min", "cycle", "site", "d0", "i3", "lambda", "größe", "a.b", "", "count"]
)
def test_names_that_are_taken(name):
    before = dict(FUNCTIONS)
    with pytest.raises(ConfigError):
        register_transform(name, own_transforms.Lifted)
    assert before == FUNCTIONS


@pytest.mark.parametrize(
    ("cls", "text"),
    [
        (own_transforms.Unfinished, "no Transform with an `infer`"),
        (int, "no Transform with an `infer`"),
        (own_transforms.NUMBER, "no Transform with an `infer`"),
        (own_transforms.NeedsAnEnd, "`power` follows operands without an end, so it needs a default"),
        (own_transforms.TakesAnything, "of its __init__ has no name that a spec could give"),
        (own_transforms.TakesATensor, "the default of `power` is no number"),
        (own_transforms.NamesTwice, "`power` is both an operand and an argument"),
    ],
)
def test_classes_that_no_spec_can_call(cls, text):
    with pytest.raises(ConfigError, match=text):
        register_transform("new", cls)
    assert "new" not in FUNCTIONS


def test_operands_without_an_end():
    assert str(find_signature(f"{HERE}.Endless")) == f"{HERE}.Endless(x, …, power=1)"


@pytest.mark.parametrize(
    ("function", "text"),
    [
        ("low_rnak", "Unknown function `low_rnak`. Did you mean `low_rank`? Known: basis, concat, "),
        ("no_such.Thing", "Unknown function `no_such.Thing`: there is no module `no_such`."),
        ("tests.no_such.Thing", "Unknown function `tests.no_such.Thing`: there is no module `tests.no_such`."),
        (f"{HERE}.Lifte", f"Unknown function `{HERE}.Lifte`: `{HERE}` has no `Lifte`. Did you mean `Lifted`?"),
        (f"{HERE}.NUMBER", f"Unknown function `{HERE}.NUMBER`: `NUMBER` is no Transform with an"),
        (
            f"{HERE}.Silent",
            f"Unknown function `{HERE}.Silent`: `Silent` is no Transform with an `infer`, and a `forward` ",
        ),
        ("tests.unit.algebra.broken_transforms.A", "fails with ValueError: not today"),
        ("torch.nn.Linear", "Unknown function `torch.nn.Linear`: `Linear` is no Transform"),
    ],
)
def test_what_cannot_be_found(function, text):
    with pytest.raises(Mistake) as caught:
        find_transform(function)
    assert caught.value.code == "41"
    assert text in caught.value.text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "Lifted(x, power, flag=False) is called with nothing: missing a required argument: 'power'."),
        ((("power", 1), ("other", 2)), "is called with power, other: got an unexpected keyword argument 'other'."),
        ((("power", -1),), "Lifted: power is negative"),
    ],
)
def test_arguments_that_a_class_does_not_take(arguments, text):
    with pytest.raises(Mistake) as caught:
        make_transform(Call((), f"{HERE}.Lifted", (), arguments))
    assert caught.value.code == "43"
    assert text in caught.value.text


@pytest.mark.parametrize(
    ("function", "arguments", "text"),
    [
        ("low_rank", {"r": 32.0}, "low_rank: r is 32.0, not a whole number. Write // in place of /."),
        ("low_rank", {"r": True}, "low_rank: r is True, not a whole number."),
        ("low_rank", {"r": "8"}, "low_rank: r is the text '8', not a whole number."),
        ("mix", {"k": 4, "top": 1.5}, "mix: top is 1.5, not a whole number or None. Write // in place of /."),
        ("mix", {"k": 4, "softmax": 1}, "mix: softmax is 1, not True or False."),
        ("drop", {"p": "half"}, "drop: p is the text 'half', not a number."),
        ("tt", {"rows": 3, "cols": (4,), "rank": 2}, "tt: rows is 3, not a list of whole numbers."),
        ("tt", {"rows": (3, 2.5), "cols": (4, 4), "rank": 2}, "tt: rows is [3, 2.5], not a list of whole numbers."),
        ("rows", {"map": 3}, "rows: map is 3, not a map."),
        (f"{HERE}.Lifted", {"power": 0.5}, f"{HERE}.Lifted: power is 0.5, not a whole number."),
    ],
)
def test_arguments_of_another_kind(function, arguments, text):
    with pytest.raises(Mistake) as caught:
        make_transform(Call((), function, (), tuple(arguments.items())))
    assert caught.value.code == "50"
    assert text in caught.value.text


def test_a_whole_number_is_a_number():
    assert make_transform(Call((), "drop", (), (("p", 1),))).arguments() == {"p": 1}
