"""Ids of two vocabularies are compared by what they stand for; what is new is spelled by old ids."""

from __future__ import annotations

import numpy as np
import pytest

from lightning_tying.errors import ConfigError
from lightning_tying.vocab import SharedVocabulary
from lightning_tying.vocab.extending.extend import extend_vocabulary
from lightning_tying.vocab.extending.trim import trim_vocabulary
from lightning_tying.vocab.piece_vectors import make_piece_vectors, neighbor_vectors
from lightning_tying.vocab.row_origins import find_row_origins, row_names, texts_of_rows
from lightning_tying.vocab.rows import make_row_map
from lightning_tying.vocab.separate_vocabularies import SeparateVocabularies
from lightning_tying.vocab.united_vocabulary import UnitedVocabulary

EN = ["the house of the mouse", "a mouse in the house", "houses and mice", "the other houses"] * 3
ES = ["la casa del otro", "las casas otras", "el otro mouse de la casa"] * 3
RU = ["дом и дома", "домик у дома", "мой дом"] * 3


@pytest.fixture(scope="module")
def old() -> SharedVocabulary:
    return SharedVocabulary.train({"en": EN}, 290)


@pytest.fixture(scope="module")
def grown(old: SharedVocabulary) -> SharedVocabulary:
    return extend_vocabulary(old, {"es": ES, "ru": RU}, 330)


def test_an_extended_vocabulary(old: SharedVocabulary, grown: SharedVocabulary) -> None:
    origins = find_row_origins(old, grown)
    assert origins.kept == (*range(old.size), *[-1] * (grown.size - old.size))
    assert (origins.old_size, origins.new_size, origins.count_kept) == (old.size, grown.size, old.size)
    before, after = texts_of_rows(old), texts_of_rows(grown)
    for id in range(old.size, grown.size):
        if id in grown.language_ids.values():
            assert origins.parts[id] == (old.language_ids["en"],)
        else:
            assert len(origins.parts[id]) > 1  # parts of letters, too
            assert b"".join(before[part] or b"" for part in origins.parts[id]) == after[id]
    assert not any(origins.parts[id] for id in range(old.size))


def test_a_trimmed_vocabulary(grown: SharedVocabulary) -> None:
    trimmed = trim_vocabulary(grown, {"es": ES})
    origins = find_row_origins(grown, trimmed.vocabulary)
    assert np.array_equal(trimmed.new_ids[list(origins.kept)], np.arange(trimmed.vocabulary.size))
    back = find_row_origins(trimmed.vocabulary, grown)
    assert back.kept == tuple(trimmed.new_ids.tolist())


def test_one_number_of_ids_does_not_make_two_vocabularies_alike(old: SharedVocabulary) -> None:
    other = SharedVocabulary.train({"es": ES}, 290)
    origins = find_row_origins(old, other)
    texts, others = texts_of_rows(old), texts_of_rows(other)
    for id, source in enumerate(origins.kept):
        assert source < 0 or others[id] == texts[source]
    assert 258 < origins.count_kept < other.size
    assert origins.kept[other.language_ids["es"]] == -1


def test_a_unigram_and_a_bpe_meet_by_what_their_pieces_stand_for(old: SharedVocabulary) -> None:
    unigram = SharedVocabulary.train({"en": EN}, 300, strategy="unigram")
    origins = find_row_origins(old, unigram)
    before, after = texts_of_rows(old), texts_of_rows(unigram)
    common = [after[id] for id, source in enumerate(origins.kept) if source >= 0 and before[source] == after[id]]
    assert len(common) == origins.count_kept > 258 and any(len(text or b"") > 2 for text in common)
    for id, parts in enumerate(origins.parts):
        assert (
            not parts or id in unigram.language_ids.values() or b"".join(before[p] or b"" for p in parts) == after[id]
        )


def test_united_vocabularies(old: SharedVocabulary) -> None:
    es = SharedVocabulary.train({"es": ES}, 280)
    members = {"en": old, "es": es}
    united = UnitedVocabulary(members, make_row_map(members, "surface"))
    origins = find_row_origins(old, united)
    assert [origins.kept[row] for row in united.rows.rows_of("en")] == list(range(old.size))
    apart = UnitedVocabulary(members, make_row_map(members, "none"))
    again = find_row_origins(united, apart)
    assert all(
        united.rows.rows_of(m)[i] == again.kept[row] for m in members for i, row in enumerate(apart.rows.rows_of(m))
    )
    joined = find_row_origins(apart, united)
    assert [joined.kept[row] for row in united.rows.rows_of("en")] == apart.rows.rows_of("en").tolist()


def test_members_with_tables_of_their_own(old: SharedVocabulary) -> None:
    with pytest.raises(ConfigError, match="Separate vocabularies have a table each"):
        row_names(SeparateVocabularies({"en": old}))


def test_vectors_are_near_where_spelling_or_neighbors_are(grown: SharedVocabulary) -> None:
    vectors = make_piece_vectors(grown)
    house, houses = (grown.encode(text)[0] for text in (" house", " дом"))
    assert np.array_equal(vectors, make_piece_vectors(grown))
    lengths = np.linalg.norm(vectors, axis=1)
    assert lengths[[grown.pad_id, grown.language_ids["ru"]]].tolist() == [0, 0] and lengths[house] == pytest.approx(1)
    near = {bytes(each): vectors[id] for id, each in enumerate(texts_of_rows(grown)) if each}
    assert near[b" house"] @ near[b"house"] > 0.5 > 0.2 > abs(near[b" house"] @ vectors[houses])
    # 2 and 3 stand beside the same ids, 4 beside others
    beside = neighbor_vectors(iter([[0, 2, 1], [0, 3, 1], [5, 4, 6]] * 5), 8)
    assert beside[2] @ beside[3] > 0.99 > beside[2] @ beside[4] and not beside[7].any()
    assert make_piece_vectors(grown, {"en": EN}).shape == (grown.size, 2 * vectors.shape[1])
