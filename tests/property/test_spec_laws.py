"""Laws of the language: a dump reads back as the same spec, matching is as defined, no text gets past SpecError."""

from __future__ import annotations

import re
from functools import cache

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lightning_tying.errors import SpecError
from lightning_tying.spec import load_spec, spec_to_data
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.pattern_matching import match_parts
from lightning_tying.spec.patterns import read_pattern
from lightning_tying.spec.scalars import read_scalar

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

# Specs

NUMBERS = st.sampled_from(["1", "2.5", "d0", "K", "l", "numel"])
SCALARS = st.recursive(
    NUMBERS,
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from(["+", "*", "//", "%", "**", "-"]), inner)
        | st.builds("min({}, {})".format, inner, inner)
        | st.builds("-{}".format, inner)
    ),
    max_leaves=5,
)
INDICES = st.sampled_from(["[name, l]", "[name, l % K]", "[name, cycle(l, 3)]", "[hash(name), order[l]]"])
REFS = st.builds(lambda name, index: name + index, st.sampled_from(["W", "block", "V_2"]), INDICES)
VALUES = st.recursive(
    REFS,
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "@"]), inner)
        | st.builds("t({})".format, inner)
        | st.builds("{} * {}".format, SCALARS, inner)
        | st.builds("mix({}, 4, top=2)[name]".format, inner)
        | st.builds("concat({}, low_rank({}), dim=1)".format, inner, SCALARS)
        | st.builds("-{} / 3".format, inner)
    ),
    max_leaves=4,
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
PATTERNS = st.lists(st.sampled_from(["layers.{l}.{name*}", "b.{l:int}.x.{name}", "{name}.{l}"]), min_size=1, max_size=2)
INITS = st.sampled_from(["mean", "first", "normal(0.02)", "site(a.{l}.weight)", "svd_joint(whiten='a b.safetensors')"])
GRADS = st.sampled_from(["sum", "mean", "stop", "owner"]) | st.builds(lambda scale: {"scale": scale}, SCALARS)
EQUATIONS = st.fixed_dictionaries(
    {"sites": PATTERNS, "equals": VALUES},
    optional={
        "where": st.builds("{} < {} or 'x' in name".format, SCALARS, SCALARS),
        "except": st.sampled_from(["a.**", ["a", "b.*"]]),
        "init": INITS,
        "grad": GRADS,
        "keep": st.booleans(),
    },
)
TIES = st.fixed_dictionaries(
    {"tie": st.just(["a.weight", "b.*"])}, optional={"init": st.just("mean"), "grad": st.just("mean")}
)
POLICY = st.fixed_dictionaries(
    {},
    optional={
        "lr": st.floats(0, 100) | st.integers(0, 9),
        "weight_decay": st.just(0),
        "frozen": st.booleans(),
        "dtype": st.just("float32"),
        "init": st.sampled_from(["mean", "uniform(1e-05)", "constant(-1)"]),
        "shape": st.just([4, "d0 // K", "_"]),
    },
)
SPECS = st.fixed_dictionaries(
    {
        "share": st.lists(EQUATIONS | TIES, max_size=4).map(lambda some: [*some, {"sites": "z", "equals": "Z"}]),
        "let": st.fixed_dictionaries(
            {"K": st.integers(-9, 9) | st.floats(-5, 5), "order": st.lists(TEXTS, max_size=3)}
        ),
    },
    optional={"root": st.just("net.inner"), "parameters": st.fixed_dictionaries({"Z": POLICY})},
)


@FEW
@given(SPECS)
def test_a_dump_reads_back_as_the_same_spec(content):
    spec = load_spec(content)
    assert load_spec(spec.dump()) == spec
    assert load_spec(spec.dump()).dump() == spec.dump()
    assert load_spec(spec_to_data(spec)) == spec
    assert yaml.safe_load(spec.dump())["let"].keys() == {"K", "order"}


# Patterns

PIECES = st.sampled_from(["a", "b1", "2", "*", "{x}", "{y:int}", "{z:a|b1|a.*|2}"])
SEGMENTS = st.lists(PIECES, min_size=1, max_size=3).map("".join) | st.sampled_from(["**", "{n*}", "{o*}"])
FQNS = st.lists(st.sampled_from(["a", "b1", "2", "ab1", "a2a", "22"]), min_size=1, max_size=4).map(".".join)


def naive_matches(pattern: str, fqn: str) -> set[tuple[tuple[str, int | str], ...]]:
    """All sets of captures by trying every way to cut the FQN; written from the table, without the package's parts."""
    tokens = tuple(tokenize(pattern))

    @cache
    def matches(i: int, p: int) -> frozenset[tuple[tuple[str, int | str], ...]]:
        if i == len(tokens):
            return frozenset({()}) if p == len(fqn) else frozenset()
        found = set()
        for q in range(p, len(fqn) + 1):
            name = fits(tokens[i], fqn[p:q], fqn, p, q)
            if name is None:
                continue
            text = fqn[p:q]
            own = ((name, int(text) if text.isdigit() else text),) if name else ()
            found |= {(*own, *rest) for rest in matches(i + 1, q)}
        return frozenset(found)

    return {tuple(sorted(one)) for one in matches(0, 0)}


def tokenize(pattern: str):
    """Single letters, holes and stars; `**` takes one of the dots beside it, so that zero segments leave one dot."""
    segments = [
        one for one, before in zip(cut(pattern), ["", *cut(pattern)], strict=False) if one != "**" or before != one
    ]
    if segments == ["**"]:
        yield "**"
        return
    for i, segment in enumerate(segments):
        last = i == len(segments) - 1
        if segment == "**":
            yield ".**" if last else "**."
            continue
        yield from re.findall(r"\{[^}]*\}|.", segment)
        if not last and not (segments[i + 1] == "**" and i + 2 == len(segments)):
            yield "."


def cut(pattern: str) -> list[str]:
    return re.findall(r"(?:\{[^}]*\}|[^.{])+", pattern)


def fits(token: str, text: str, fqn: str, p: int, q: int) -> str | None:
    """The name to capture under, `""` for none, None where the text does not fit."""
    whole = text != "" and (p == 0 or fqn[p - 1] == ".") and (q == len(fqn) or fqn[q] == ".")
    segments = whole and "" not in text.split(".")
    if token == "**":
        return "" if segments else None
    if token == "**.":
        return "" if text == "" or (text.endswith(".") and (p == 0 or fqn[p - 1] == ".")) else None
    if token == ".**":
        return "" if text == "" or text.startswith(".") else None
    if not token.startswith("{"):
        return "" if (text == token if token != "*" else "." not in text) else None
    name, _, kind = token[1:-1].partition(":")
    if name.endswith("*"):
        return name[:-1] if segments else None
    if kind == "":
        return name if text and "." not in text else None
    if kind == "int":
        return name if text.isdigit() else None
    starred = text.startswith("a.") and "." not in text[2:]
    return name if text in ("a", "b1", "2") or starred else None


@settings(max_examples=400, deadline=None)
@given(st.lists(SEGMENTS, min_size=1, max_size=4).map(".".join), FQNS)
def test_matching_is_as_the_table_says(text, fqn):
    try:
        pattern = read_pattern(text)
    except Mistake as mistake:
        assert mistake.code in ("18", "19")
        return
    expected = naive_matches(text, fqn)
    found = pattern.match(fqn)
    assert len(found) == min(2, len(expected))
    assert {tuple(sorted(one.items())) for one in found} <= expected
    slow = {tuple(sorted(zip(pattern.captures, one, strict=True))) for one in match_parts(pattern.parts, fqn + ".")}
    assert len(slow) == len(found) and slow <= expected


# Anything

WORDS = ("share:", "\n  - ", "tie: ", "sites: ", "equals: ")
SIGNS = st.lists(st.sampled_from([*"aWl{}[]()*:|=.,-'\"#&!%@>\\ \n\t01", *WORDS])).map("".join)
ENTRIES = SIGNS.map("share:\n  - {}".format) | SIGNS.map("share:\n  - {{sites: a, equals: {}}}".format)


@settings(max_examples=300, deadline=None)
@given(st.text() | SIGNS | ENTRIES)
def test_no_text_gets_past_spec_error(text):
    try:
        spec = load_spec(text)
    except SpecError as error:
        assert error.problems and all(problem.text for problem in error.problems)
    else:
        assert load_spec(spec.dump()) == spec


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | SIGNS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["sites", "equals", "init", "W"]), inner)
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(["share", "let", "root", "version", "parameters", "x"]), JSON))
def test_no_content_gets_past_spec_error(content):
    try:
        spec = load_spec(content)
    except SpecError:
        return
    assert load_spec(spec_to_data(spec)) == spec


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from(list("lKd01+-*/%()[]<>=!' .,not in and or min hash"))))
def test_a_scalar_is_read_or_is_a_mistake(text):
    try:
        scalar = read_scalar(text)
    except Mistake:
        return
    assert read_scalar(scalar.text).text == scalar.text
