"""UnitedVocabulary: each member cuts as before, and all of them read one table."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_tying.errors import ConfigError
from lightning_tying.vocab import SharedVocabulary
from lightning_tying.vocab.pretokenizer import normalize
from lightning_tying.vocab.rows import RowMap, make_row_map, save_row_map
from lightning_tying.vocab.united_vocabulary import UnitedVocabulary
from lightning_tying.vocab.vocabulary import load_vocabulary

TEXTS = {
    "es": ["la casa es vieja", "las casas nuevas", "el perro come", "una casa nueva"],
    "pt": ["a casa é velha", "as casas novas", "o cachorro come", "uma casa nova"],
}
CODES = st.sampled_from(sorted(TEXTS))


@pytest.fixture(scope="module")
def members():
    return {code: SharedVocabulary.train({code: texts * 2}, 310) for code, texts in TEXTS.items()}


@pytest.fixture(scope="module", params=["surface", "none"])
def united(request, members):
    return UnitedVocabulary(members, make_row_map(members, request.param))


@given(CODES, st.lists(st.text()))
def test_rows_are_the_members_ids_through_the_map(members, united, code, texts):
    own = united.rows.rows_of(code)
    assert united.encode_many(texts, code) == [[own[id] for id in ids] for ids in members[code].encode_many(texts)]


def test_two_ids_at_one_row_are_read_by_looking_up(members):
    own = {code: np.arange(member.size, dtype=np.int32) for code, member in members.items()}
    last = own["es"][-1]
    own["es"] = np.where(own["es"] == last, last - 1, own["es"]).astype(np.int32)
    size = int(max(rows.max() for rows in own.values())) + 1
    united = UnitedVocabulary(members, RowMap(own, size, {code: one.digest for code, one in members.items()}))
    for code, texts in TEXTS.items():
        ids = members[code].encode_many(texts)
        assert united.encode_many(texts, code) == [[own[code][id] for id in each] for each in ids]
    assert united.rows.log_multiplicity("es").any()


def test_a_unigram_is_read_by_looking_up():
    one = SharedVocabulary.train({"es": TEXTS["es"] * 9}, 320, strategy="unigram")
    other = SharedVocabulary.train({"pt": TEXTS["pt"] * 2}, 310)
    united = UnitedVocabulary({"es": one, "pt": other}, make_row_map({"es": one, "pt": other}))
    own = united.rows.rows_of("es")
    assert united.encode_many(TEXTS["es"], "es") == [[own[id] for id in ids] for ids in one.encode_many(TEXTS["es"])]
    assert [united.decode(rows, "es") for rows in united.encode_many(TEXTS["es"], "es")] == TEXTS["es"]


@given(CODES, st.text())
def test_every_text_comes_back_and_its_bytes_are_counted(united, code, text):
    rows = united.encode_many([text], code)[0]
    assert united.decode([united.tag_id(code), *rows, united.eos_id], code) == normalize(text)
    counts = united.byte_counts(code)
    assert sum(counts[row] for row in rows) == len(normalize(text).encode())


def test_it_reads_as_a_shared_vocabulary_does(members, united):
    assert (united.pad_id, united.eos_id, united.size, len(united)) == (0, 1, united.rows.n_rows, united.rows.n_rows)
    assert united.language_ids == {code: united.rows.rows_of(code)[2] for code in TEXTS}
    assert united.encode("casa", "es") == [united.tag_id("es"), *united.encode_many(["casa"], "es")[0]]
    for code in TEXTS:
        counts = united.byte_counts(code)
        assert len(counts) == united.size and counts[united.eos_id] == 1 and counts[united.pad_id] == 0
        read = set(united.rows.rows_of(code).tolist())
        assert not any(count for row, count in enumerate(counts) if row not in read)
    assert all(type(row) is int for row in united.encode("casa es", "es"))


def test_rows_of_others_become_one_sign(united):
    foreign = sorted(set(united.rows.rows_of("pt").tolist()) - set(united.rows.rows_of("es").tolist()))
    foreign = [row for row in foreign if row != united.tag_id("pt")][:2]
    rows = united.encode_many(["casa"], "es")[0]
    assert united.decode([*rows, *foreign, united.size + 3, *rows], "es") == "casa\ufffdcasa"


def test_a_language_must_be_said_and_known(united):
    for call in (united.encode_many, united.decode):
        with pytest.raises(ConfigError, match="wants to know the language of a text; it has: es, pt"):
            call([])
        with pytest.raises(ConfigError, match="tag for the language 'fr'; they have: es, pt"):
            call([], "fr")
    with pytest.raises(ConfigError, match="'fr'"):
        united.tag_id("fr")


@pytest.mark.parametrize("make", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_are_equal(united, make):
    twin = make(united)
    assert twin == united and hash(twin) == hash(united) and twin.digest == united.digest
    assert twin.encode("una casa", "es") == united.encode("una casa", "es")


def test_a_folder_and_a_text_give_it_back(tmp_path, united):
    united.save(tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")) == [
        "members/es.json",
        "members/pt.json",
        "rows.json",
        "rows.safetensors",
    ]
    for path in (tmp_path, tmp_path / "rows.json"):
        assert UnitedVocabulary.load(path) == united
    assert UnitedVocabulary.from_json(united.to_json()) == united


def test_a_folder_is_read_by_what_knows_most(tmp_path, members, united):
    with pytest.raises(ConfigError, match=r"has none of vocabulary\.json, rows\.json, tokenizer\.json"):
        load_vocabulary(tmp_path)
    one = next(iter(members.values()))
    one.save(tmp_path / "tokenizer.json")
    assert load_vocabulary(tmp_path) == one
    united.save(tmp_path)
    assert load_vocabulary(tmp_path) == united


def test_a_member_that_was_replaced_is_noticed(tmp_path, members, united):
    united.save(tmp_path)
    SharedVocabulary.train({"es": ["otra cosa"]}, 310).save(tmp_path / "members" / "es.json")
    with pytest.raises(ConfigError, match="made for another vocabulary 'es'"):
        UnitedVocabulary.load(tmp_path)
    (tmp_path / "members" / "es.json").unlink()
    with pytest.raises(ConfigError, match=r"es\.json"):
        UnitedVocabulary.load(tmp_path)


@given(st.data())
def test_a_damaged_text_is_refused_and_never_a_traceback(united, data):
    content = json.loads(united.to_json())
    key = data.draw(st.sampled_from(sorted(content)))
    content[key] = data.draw(st.sampled_from([None, 3, "x", [], {}, {"es": 3}, {"es": [0, 10**12], "pt": [0]}]))
    with pytest.raises(ConfigError):
        twin = UnitedVocabulary.from_json(json.dumps(content), "The checkpoint")
        assert key in ("kind", "policy", "specials") and twin.size == united.size
        raise ConfigError("only what is told changed")


def test_what_is_no_text_of_one_is_named():
    for text in ("", "[]", "{", '{"members": {}}'):
        with pytest.raises(ConfigError, match="The checkpoint is no united vocabulary"):
            UnitedVocabulary.from_json(text, "The checkpoint")


def test_members_of_several_languages_know_theirs():
    texts = {"es": TEXTS["es"], "pt": TEXTS["pt"], "de": ["das Haus"], "nl": ["het huis"]}
    groups = {
        name: SharedVocabulary.train({code: texts[code] for code in codes}, 300)
        for name, codes in {"south": ("es", "pt"), "north": ("de", "nl")}.items()
    }
    united = UnitedVocabulary(groups, make_row_map(groups))
    assert [united.member_of(code) for code in ("es", "pt", "de", "nl")] == ["south", "south", "north", "north"]
    assert len(set(united.language_ids.values())) == 4
    twice = dict.fromkeys(("a", "b"), groups["south"])
    with pytest.raises(ConfigError, match="'a' and 'b' both have a tag for 'es'"):
        UnitedVocabulary(twice, make_row_map(twice))
    named = {"es": groups["south"], "pt": groups["south"]}
    assert [UnitedVocabulary(named, make_row_map(named)).member_of(code) for code in named] == ["es", "pt"]


def test_special_tokens_that_do_not_meet_are_refused(members):
    first, second = members["es"].size, members["pt"].size
    rows = {"es": np.arange(first, dtype=np.int32), "pt": np.arange(first, first + second, dtype=np.int32)}
    digests = {code: member.digest for code, member in members.items()}
    with pytest.raises(ConfigError, match=f"pad_id at different rows: .0, {first}"):
        UnitedVocabulary(members, RowMap(rows, first + second, digests))


def test_a_map_of_others_is_refused(tmp_path, members):
    save_row_map(make_row_map(members), tmp_path)
    with pytest.raises(ConfigError, match="the vocabularies are es"):
        UnitedVocabulary({"es": members["es"]}, make_row_map(members))
