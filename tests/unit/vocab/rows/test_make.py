"""make_row_map: every invariant over whole vocabularies, real ones of five families and random ones with holes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from lightning_tying.errors import ConfigError
from lightning_tying.vocab import SharedVocabulary
from lightning_tying.vocab.canonical import canonical_pieces
from lightning_tying.vocab.rows import POLICIES, make_row_map
from lightning_tying.vocab.rows.members import check_members
from tests.unit.vocab.families import FAMILIES, make

TEXTS = ["Das Haus ist alt", "la casa es vieja", "Haus und casa", "das Hausboot", "die alte Stadt"]
PARALLEL = {
    "a": {str(k): t for k, t in enumerate(TEXTS)},
    "b": {str(k): t for k, t in enumerate(reversed(TEXTS))},
    "c": {},
}
DICTIONARY = ({"a": ("Haus",), "b": ("casa", "Haus")}, {"a": ("es",), "c": ("ist",)})
SIGNS = ["a", "b", "Haus", "casa", "es", "ist", "Ġa", "ĠHaus", "Ġcasa", "Ġes", "Ġist", "Ã", "©", "Ã©", "Ġ", "ĠĠ"]


def check_invariants(members, rows):
    """All that must hold for a map of any policy, checked without the code that made it."""
    assert set(rows.members) == set(members)
    read = np.concatenate([own[own >= 0] for own in rows.members.values()])
    assert set(read.tolist()) == set(range(rows.n_rows))  # in range, and onto
    for name, member in members.items():
        tokenizer = Tokenizer.from_str(member.to_json()) if isinstance(member, SharedVocabulary) else member
        ids = set(tokenizer.get_vocab(with_added_tokens=True).values())
        assert len(rows.rows_of(name)) == max(ids) + 1
        assert set(np.flatnonzero(rows.rows_of(name) >= 0).tolist()) == ids
    for name in {special for own in rows.specials.values() for special in own}:
        shared = {int(rows.rows_of(m)[own[name]]) for m, own in rows.specials.items() if name in own}
        assert len(shared) == 1
    rows.check()
    check_members(rows, members)


def pieces_by_row(members, rows):
    """Row → the canonical pieces of the ids that read it, special tokens left out."""
    found = {}
    for name, member in members.items():
        for id, piece in enumerate(canonical_pieces(member)):
            if piece is not None and not piece.special:
                found.setdefault(int(rows.rows_of(name)[id]), []).append((name, piece))
    return found


@st.composite
def vocabularies(draw):
    """Up to three byte-level vocabularies with random pieces, random ids (holes included) and special tokens."""
    members = {}
    for name in draw(st.sampled_from([("a",), ("a", "b"), ("b", "c", "a")])):
        texts = draw(st.lists(st.sampled_from(SIGNS), min_size=1, unique=True))
        special = draw(st.lists(st.sampled_from(["<pad>", "<eos>", "[PAD]", "</s>", "<de>"]), unique=True))
        ids = draw(st.permutations(range(len(texts) + len(special) + 2)))
        vocabulary = dict(zip([*special, *texts], ids, strict=False))
        tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.add_special_tokens(special)
        members[name] = tokenizer
    return members


@given(vocabularies(), st.sampled_from(POLICIES), st.booleans())
def test_every_invariant_holds_for_random_vocabularies(members, policy, synonyms):
    rows = make_row_map(members, policy, parallel=PARALLEL, dictionary=DICTIONARY, threshold=0.9, synonyms=synonyms)
    check_invariants(members, rows)
    assert rows == make_row_map(
        members, policy, parallel=PARALLEL, dictionary=DICTIONARY, threshold=0.9, synonyms=synonyms
    )
    if not synonyms:
        for name in members:
            assert not rows.log_multiplicity(name).any()
    for row, readers in pieces_by_row(members, rows).items():
        texts = {(piece.content, piece.word_start) for _, piece in readers}
        if policy == "none":
            assert len(readers) == 1, row
        if policy in ("surface", "surface_similar"):
            assert len(texts) == 1, row


@given(vocabularies())
def test_by_surface_all_that_is_alike_shares(members):
    rows = make_row_map(members)
    texts = [frozenset((p.content, p.word_start) for _, p in each) for each in pieces_by_row(members, rows).values()]
    assert len(texts) == len(set(texts))


@pytest.fixture(scope="module")
def families():
    return {family: make(family) for family in FAMILIES}


@pytest.mark.parametrize("policy", ["surface", "none"])
def test_every_invariant_holds_over_whole_vocabularies_of_five_families(families, policy):
    rows = make_row_map(families, policy)
    check_invariants(families, rows)
    for name in families:
        assert not rows.log_multiplicity(name).any()
    for readers in pieces_by_row(families, rows).values():
        assert len({name for name, _ in readers}) == len(readers)
        assert policy == "surface" or len(readers) == 1
        assert len({(piece.content, piece.word_start) for _, piece in readers}) == 1


def test_families_meet_in_words_bytes_and_special_tokens(families):
    rows = make_row_map(families)
    for one in FAMILIES:
        for other in FAMILIES:
            assert rows.shared_with(one, other) > 20, (one, other)
    pad = {rows.rows_of(name)[own["<pad>"]] for name, own in rows.specials.items() if "<pad>" in own}
    eos = {rows.rows_of(name)[own["<eos>"]] for name, own in rows.specials.items() if "<eos>" in own}
    assert (pad, eos) == ({0}, {1})
    letter, fallback = (families["unigram"].token_to_id(text) for text in ("a", "<0x61>"))
    assert rows.rows_of("unigram")[letter] != rows.rows_of("unigram")[fallback]
    byte = rows.rows_of("byte_bpe")[families["byte_bpe"].token_to_id("Ã")]
    assert rows.rows_of("unigram")[families["unigram"].token_to_id("<0xC3>")] == byte


def test_of_two_special_tokens_of_one_role_one_takes_it():
    tokenizer = Tokenizer(models.BPE(vocab={"</s>": 0, "<eos>": 1, "a": 2}, merges=[]))
    tokenizer.add_special_tokens(["</s>", "<eos>"])
    rows = make_row_map({"a": tokenizer})
    assert rows.specials == {"a": {"<eos>": 1, "</s>": 0}}
    assert rows.rows_of("a").tolist() == [1, 0, 2]


def test_our_vocabularies_and_their_tokenizers_give_one_map():
    one, other = (SharedVocabulary.train({code: TEXTS}, size=300) for code in ("de", "es"))
    rows = make_row_map({"de": one, "es": other})
    assert (rows.rows_of("de")[:2].tolist(), rows.rows_of("es")[:2].tolist()) == ([0, 1], [0, 1])
    assert rows.rows_of("de")[2] != rows.rows_of("es")[2]  # the tags
    assert rows.n_rows == one.size + 1
    assert rows == make_row_map({"de": Tokenizer.from_str(one.to_json()), "es": Tokenizer.from_str(other.to_json())})


@pytest.mark.parametrize(
    ("members", "policy", "message"),
    [
        ({}, "surface", "no vocabularies"),
        (FAMILIES, "surfaces", "no sharing policy 'surfaces'. There are: surface, surface_similar, dictionary, none"),
        (FAMILIES, "surface_similar", "needs parallel text"),
        (FAMILIES, "dictionary", "needs a dictionary"),
        (["de/fr"], "surface", "cannot name a member"),
    ],
)
def test_what_cannot_be_decided_is_refused(members, policy, message):
    with pytest.raises(ConfigError, match=message):
        make_row_map({name: make("byte_bpe") for name in members}, policy)


def test_a_member_without_canonical_form_is_named():
    broken = json.loads(make("byte_bpe").to_str())
    broken["model"]["end_of_word_suffix"] = "</w>"
    with pytest.raises(ConfigError, match=r"^fr: .*end of words"):
        make_row_map({"de": make("byte_bpe"), "fr": Tokenizer.from_str(json.dumps(broken))})


def test_an_empty_member_is_named():
    with pytest.raises(ConfigError, match=r"^fr: the vocabulary is empty"):
        make_row_map({"fr": Tokenizer(models.BPE())})
