"""What breaks a spec: one to three changes of a right one, as texts, keys, values and shapes."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

from tests.property.strategies_modules import Recipe
from tests.property.strategies_specs import GRADS, specs
from tests.property.strategies_values import INITS

WORDS = ["", "W", "W[", "W[0]", "W[l]", "low_rank(0)", "low_rank(9)", "low_rank(-1)", "drop(W, 2)", "drop(W, -0.5)",
    "mix(W, 0)", "mix(W, -1)", "mix(W, 2, top=5)", "mix(W, 2, block=0)", "mix(W, 2, block=7)", "W ** 2", "W / V",
    "W @ V", "t(t(W))", "roll(W, 10 ** 12)", "slice(W, -1, 3)", "slice(W, 3, 1)", "slice(W, 0, 4, dim=9)",
    "flip(W, 9)", "flip(W, 0, 0)", "permute(W, 0, 0)", "permute(W, 0)", "gather(W, 1 // 0)", "gather(W, -1)",
    "gather(W, i9)", "gather(W, i0 * 10 ** 18)", "gather(W, i0 / 2)", "rows(W, -1)", "rows(W, i1)",
    "rows(W, 'no.json')", "einsum('ab,bc', W, V)", "einsum('ab->ab', W)", "einsum('ii->i', W)",
    "einsum('ab,bc->ac', W, V)", "einsum('', W)", "einsum('ab->', W)", "einsum('a,b->ab', W, V)", "reshape(W, [])",
    "reshape(W, [0, 4])", "reshape(W, [-1])", "repeat(W, 0)", "repeat(W, 2, block=0)", "repeat(W, -1)", "concat(W)",
    "concat(W, W)", "mask(W, i0)", "mask(W, 2)", "hashed(W)", "hashed(W, chunk=0)", "project(W, kind='odd')",
    "project(W)", "vera(0)", "basis(W, 0)", "basis(W, 10 ** 6)", "kron(W, V)", "kron(W, W)", "tt(G, [], [], 1)",
    "tt(G, [2, 2], [2], 1)", "tt(G, [2, 2], [2, 2], 0)", "tt(W @ V, [2, 2], [2, 2], 1)", "resize(W)",
    "resize(W, shape=[1])", "resize(W, shape=[0, 0])", "normalize(W, dim=7)", "softmax(W, dim=-9)", "scale(W, 5)",
    "scale(W, -1)", "scale(3)", "exp(2)", "stop(1)", "2", "2 * 3", "W + 1e400", "W * 1e308 * 1e308",
    "diag(diag(W))", "W[0.5]", "W[-1]", "W['a b']", "W['ä']", "W[site]", "W[d0]", "W[d5]", "site", "d0 * W",
    "lambda", "W if W else V", "W[l", "__import__('os')", "W.x", "os.system(W)", "torch.nn.Linear(W)",
    "rot90(W, 10 ** 9)", "rot90(W)", "W + low_rank(1) + low_rank(1)", "low_rank(1)",
    "low_rank(1)[0] + low_rank(1)[0]", "W[True]", "nan * W", "-W", "--W", "+W", "(((W)))", "scale_grad(W, 'a')",
    "scale_grad(W, 1e999)", "mix(mix(W, 2), 2)", "W[K]", "W[order]", "W[order[9]]", "W + order", "K", "K * W",
    "t(K)", "concat(2, W)", "einsum('a->a', 2)", "\x00", "W\n+ V", "W # c", "*", "{l}", "W[0][1]", "W(3)",
    "a.b(W)"]  # fmt: skip
ODD = [None, True, 3, -1, 2.5, float("nan"), float("inf"), [], {}, [None], {"a": 1}, "", " ", "x" * 3000, 10**30,
    b"x", object, (1, 2), {1: 2}]  # fmt: skip
PATTERNS = ["**", "*", "parts.*.weight", "parts.{i}.{name*}", "{a*}.{b*}", "**.weight", "parts", "parts.0",
    "no.such", "parts.{l", "{l}{m}", "\\d", "", "again.**", "**.again", "{site}.weight", "{lambda}",
    "parts.{i:int}.weight", "{m:weight|}", "parts.0.{m:weight|bias}", "{a}.{a}", ".", "..",
    "parts..weight"]  # fmt: skip
CONDITIONS = ["ndim == 2", "l > 99", "1 / 0", "d7 > 1", "'a' < 1", "site in 3", "module == 'Linear'", "not", "name",
    "[1] == 2", "d0 ** 99 > 1", "2 ** 10 ** 9 > 1", "count(l) > 1", "position(q)", "cycle(l, 0) == 1", "True", "''",
    "hash() == 1", "min() > 1", "-'a'"]  # fmt: skip


OPTIONS: dict[str, list[Any]] = {
    "where": [*CONDITIONS, None, 3],
    "except": [*PATTERNS, [], [3], None],
    "init": [*INITS, "avg", "site(parts.0.weight)", "site({l})", "site(x)", "constant(1e999)", {"zz": "mean"}, 3,
        "svd_joint(whiten='a.safetensors')", {"W": "mean", "low_rank": "svd"}, {"low_rank.A": "zeros"}, "normal(-1)"],
    "grad": [*GRADS, {"scale": "l"}, {"scale": "1 / 0"}, {"scale": "'a'"}, {"scale": None}, {"x": 1}, "scaled", 2,
        {"scale": 1e999}],
    "penalty": [-1, "l", "1 / 0", 0.5, "'a'", None, 1e999, "10 ** 400"],
    "keep": ["yes", 1, None, False],
    "name": ["W", "site", "x y", 3, "K", ""],
    "tie": [["parts.0.weight"], ["parts.0.weight"] * 2, ["parts.0.weight", "parts.0.bias"], "**", [], 3],
    "excepts": ["x"],
}  # fmt: skip
POLICIES: dict[str, list[Any]] = {
    "shape": [[], [0], [4], ["_"], ["_", "_"], ["d0", "d1"], [4, 4, 4, 4], [-1], ["1 / 0"], ["l"], [2.5], 4,
        ["numel * 10 ** 9"], ["10 ** 18", 10], ["'a'"], ["d0 * 10 ** 30"]],
    "init": [*INITS, "nope", "site(parts.0.bias)", "constant(nan)", "normal(1e400)"],
    "lr": [-1, 0, 1e999, "x", None, True, float("nan"), 10**400],
    "weight_decay": [-1, 0, "x", []],
    "frozen": [True, False, "no", 1],
    "dtype": ["float16", "float32", "int8", "double", 3],
    "momentum": [1],
}  # fmt: skip


@st.composite
def broken_specs(draw: st.DrawFn, recipe: Recipe) -> Any:
    """A spec with one to three things changed that probably break it."""
    spec = deepcopy(draw(specs(recipe)))
    changes = [break_value] * 5 + [break_option, break_pattern, break_policy, break_key, break_text, break_odd, double]
    for _ in range(draw(st.integers(1, 3))):
        draw(st.sampled_from(changes))(draw, spec)
    return spec


def an_entry(draw: st.DrawFn, spec: dict[str, Any]) -> dict[str, Any]:
    share = spec.get("share")
    entries = [entry for entry in share if isinstance(entry, dict)] if isinstance(share, list) else []
    return draw(st.sampled_from(entries)) if entries else {}


def break_value(draw: st.DrawFn, spec: dict[str, Any]) -> None:
    entry = an_entry(draw, spec)
    word = draw(st.sampled_from(WORDS))
    if isinstance(entry.get("equals"), str):
        old = entry["equals"]
        entry["equals"] = draw(st.sampled_from([word, word, f"{old} + {word}", f"tanh({word})", f"({old}) * {word}"]))
    elif isinstance(entry.get("preset"), dict):
        key = draw(st.sampled_from(["M", "rank", "k", "name", "over", "as", "groups", "size", "kind", "ratio"]))
        entry["preset"][key] = draw(
            st.sampled_from([0, -1, 10**6, "x", 2.5, None, "K", "1 / 0", "W", "low_rank", "{l}"])
        )


def break_option(draw: st.DrawFn, spec: dict[str, Any]) -> None:
    key = draw(st.sampled_from(sorted(OPTIONS)))
    an_entry(draw, spec)[key] = draw(st.sampled_from(OPTIONS[key]))


def break_pattern(draw: st.DrawFn, spec: dict[str, Any]) -> None:
    entry = an_entry(draw, spec)
    if "sites" in entry:
        entry["sites"] = draw(st.sampled_from([*PATTERNS, ["parts.0.weight", "{x}.y"]]))


def break_policy(draw: st.DrawFn, spec: dict[str, Any]) -> None:
    policies = spec.setdefault("parameters", {})
    if not isinstance(policies, dict):
        return
    name = draw(
        st.sampled_from([*map(str, policies), "W", "V", "low_rank", "low_rank2.A", "mix.a", "Q", "tt", "G0", "x.y", ""])
    )
    key = draw(st.sampled_from(sorted(POLICIES)))
    policies[name] = {**(policies.get(name) or {}), key: draw(st.sampled_from(POLICIES[key]))}


def break_key(draw: st.DrawFn, spec: dict[str, Any]) -> None:
    place = draw(st.sampled_from([spec, an_entry(draw, spec)]))
    if place:
        key = draw(st.sampled_from(sorted(map(str, place))))
        place[draw(st.sampled_from([key + "s", key[:-1], key.upper(), "walk", "sites", "tie", "preset"]))] = place.pop(
            key, None
        )


def break_text(draw: st.DrawFn, spec: dict[str, Any]) -> None:
    """A character more, less or other in a value or pattern."""
    entry = an_entry(draw, spec)
    for key in ("equals", "sites"):
        text = entry.get(key)
        if isinstance(text, str) and text:
            at = draw(st.integers(0, len(text) - 1))
            entry[key] = (
                text[:at]
                + draw(st.sampled_from(["", "(", ")", "[", "]", ",", " ", "0", "l", "+", ".", "{", "*", "\n", "é"]))
                + text[at + 1 :]
            )


def break_odd(draw: st.DrawFn, spec: dict[str, Any]) -> None:
    place = draw(st.sampled_from([spec, an_entry(draw, spec)]))
    if place:
        place[draw(st.sampled_from(sorted(map(str, place))))] = draw(st.sampled_from(ODD))


def double(draw: st.DrawFn, spec: dict[str, Any]) -> None:
    if isinstance(spec.get("share"), list):
        spec["share"] = [*spec["share"], deepcopy(an_entry(draw, spec))]
