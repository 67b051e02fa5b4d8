"""No message in two splits, in any language."""

from hypothesis import given
from hypothesis import strategies as st

from lightning_tying.data.corpus import CONTEXT_END, SPLITS, split_messages, split_of

KEYS = st.text(max_size=8)
MESSAGES = st.dictionaries(st.sampled_from(["en", "de", "hi"]), st.dictionaries(KEYS, st.sampled_from("abcdefgh")))


@given(MESSAGES, st.booleans())
def test_splits_do_not_overlap(messages, unique):
    corpus = split_messages(messages, unique)
    where = {}
    for split in SPLITS:
        for language, texts in corpus.splits[split].items():
            for key, text in texts.items():
                assert where.setdefault(key, split) == split  # the same split in every language
                assert where.setdefault((language, text), split) == split  # and no text twice under two keys
    kept = {
        language: {text for split in SPLITS for text in corpus.splits[split][language].values()}
        for language in messages
    }
    assert kept == {language: set(texts.values()) for language, texts in messages.items()}


@given(MESSAGES)
def test_unique_keeps_each_text_once(messages):
    for texts in split_messages(messages, unique=True).splits["train"].values():
        assert len(set(texts.values())) == len(texts)


def test_context_case_and_signs_do_not_change_the_split():
    for message in ("Log in", "Password", "View site", "May"):
        same = {split_of(message), split_of(f"menu{CONTEXT_END}{message}"), split_of(message.upper() + ":")}
        assert len(same) == 1


def test_shares():
    splits = [split_of(f"message {number}") for number in range(4000)]
    assert abs(splits.count("test") / 4000 - 0.10) < 0.02
    assert abs(splits.count("val") / 4000 - 0.05) < 0.02


def test_the_split_is_fixed_for_all_time():
    # changing the hash would move messages that models were trained on into the test split
    assert [split_of(word) for word in ("Yes", "No", "Password", "Log in", "Home", "Delete")] == SPLITS_OF_WORDS


SPLITS_OF_WORDS = ["train", "train", "train", "test", "test", "train"]


def test_digest_changes_with_content_and_order():
    one = split_messages({"de": {"a": "x"}, "fr": {"a": "y"}}, unique=True)
    other = split_messages({"fr": {"a": "y"}, "de": {"a": "x"}}, unique=True)
    assert one.digest == split_messages({"de": {"a": "x"}, "fr": {"a": "y"}}, unique=True).digest
    assert one.digest != other.digest


def test_without():
    corpus = split_messages({"de": {"a": "x"}, "fr": {"a": "y"}}, unique=True)
    assert corpus.without(["fr"]).languages == ["de"]
