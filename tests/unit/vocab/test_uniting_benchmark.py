"""The benchmark of uniting: a small run here, and the bounds for 26 languages among the slow tests."""

from __future__ import annotations

from benchmarks.uniting import SIZE, read_corpus, time_encoding, train, unite
from lightning_tying.vocab.rows.members import check_members
from tests.slow import slow


def test_a_small_union_saves_rows_and_costs_few_tokens():
    learned, held_out = read_corpus(["es", "pt", "ru"])
    members = train(learned, 800)
    union = unite(members, held_out)
    assert union.rows.n_ids == 2400 and union.rows.saved_share > 0.25
    assert -0.1 < union.cost < 0.03
    assert set(time_encoding(members, held_out, rounds=2)) == {"ids of the member", "rows"}


@slow
def test_the_bounds_of_26_languages():
    learned, held_out = read_corpus()
    members = train(learned, SIZE)
    union = unite(members, held_out)
    assert len(members) == 26
    assert union.rows.n_rows <= 34_000 and union.rows.saved_share >= 0.35
    assert union.cost <= 0.03
    check_members(union.rows, members)
