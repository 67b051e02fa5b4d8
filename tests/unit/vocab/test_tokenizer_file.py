"""What is no vocabulary is refused by one clear message."""

import json

import pytest

from lightning_tying.errors import ConfigError
from lightning_tying.vocab import SharedVocabulary
from lightning_tying.vocab.tokenizer_file import load_any_tokenizer, read_any_tokenizer


@pytest.fixture(scope="module")
def content():
    return json.loads(SharedVocabulary.train({"de": ["aba aba aba"]}, size=262).to_json())


def edited(content, change):
    twin = json.loads(json.dumps(content))
    change(twin)
    return json.dumps(twin)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is no JSON"),
        ("[]", "it has no `model`"),
        ("{}", "it has no `model`"),
        ('{"model": {"type": "WordPiece", "vocab": {}}}', "not a BPE"),
        ('{"model": {"type": "BPE", "vocab": {}, "merges": []}}', "<pad> must have the id 0"),
        ('{"model": {"type": "BPE", "vocab": {}, "merges": []}, "added_tokens": [1]}', "malformed"),
    ],
)
def test_other_files_are_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        SharedVocabulary.from_json(text, where="x.json")


def test_a_merge_without_its_result_is_refused(content):
    # tokenizers itself panics at such a file, past every `except Exception`
    text = edited(content, lambda data: data["model"]["merges"].append(["a", "zz"]))
    with pytest.raises(ConfigError, match=r"x\.json is not a vocabulary .* the merge \['a', 'zz'\]"):
        SharedVocabulary.from_json(text, where="x.json")


def test_missing_eos_is_refused(content):
    text = edited(content, lambda data: data["added_tokens"].pop(1))
    with pytest.raises(ConfigError, match="no special token <eos>"):
        SharedVocabulary.from_json(text)


def test_what_tokenizers_refuses_is_a_config_error(content):
    text = edited(content, lambda data: data.update(decoder={"type": "Nonsense"}))
    with pytest.raises(ConfigError, match="tokenizers refuses it"):
        SharedVocabulary.from_json(text)


def test_missing_file(tmp_path):
    with pytest.raises(ConfigError, match=r"no\.json cannot be read: No such file"):
        SharedVocabulary.load(tmp_path / "no.json")


def test_size_is_the_largest_id_and_not_the_count(content):
    def move(data):
        pieces = data["model"]["vocab"]
        last = max(pieces, key=pieces.get)
        pieces[last] = 400

    assert SharedVocabulary.from_json(edited(content, move)).size == 401


def test_the_line_of_a_broken_merge_is_named(content, tmp_path):
    path = tmp_path / "tokenizer.json"
    model = {**content["model"], "merges": [["a", "b"], ["a", "zz"]]}
    model["vocab"] = {**model["vocab"], "ab": 900}
    path.write_text(json.dumps({**content, "model": model}, indent=1))
    last = next(number for number, text in enumerate(path.read_text().splitlines(), 1) if '"zz"' in text)
    with pytest.raises(ConfigError, match=rf"tokenizer\.json is .* \['a', 'zz'\] \(line {last - 2}\) names .* 'zz'"):
        load_any_tokenizer(path)


def pretty(model, **more):
    return json.dumps({"version": "1.0", "added_tokens": [], "model": model, **more})


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"type": "BPE", "vocab": {"a": 0, "b": 0}, "merges": []}, "2 pieces have the id 0: 'a', 'b'"),
        ({"type": "BPE", "vocab": {"a": -1}, "merges": []}, "the id -1"),
        ({"type": "BPE", "vocab": {"a": True}, "merges": []}, "the id True"),
        ({"type": "BPE", "vocab": {"a": 10**12}, "merges": []}, "the id 1000000000000"),
        ({"type": "BPE", "vocab": {"a": 0}, "merges": ["a a a"]}, "has 3 parts"),
        ({"type": "Unigram", "vocab": [["a", 0.0], ["a", 1.0]]}, "'a' stands in `vocab` 2 times"),
        ({"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": 7}, "`unk_id` is 7, and there are 1 pieces"),
        ({"type": "Unigram", "vocab": [["a"]]}, "not a piece with its score"),
        ({"type": "Unigram", "vocab": []}, "no `vocab`"),
        ({"type": "WordPiece", "vocab": []}, "no `vocab`"),
        ({"type": "Magic"}, "'Magic', none of BPE"),
    ],
)
def test_inconsistent_tokenizers_of_others_are_refused(model, message):
    with pytest.raises(ConfigError, match=message):
        read_any_tokenizer(pretty(model), "x.json")


def test_tokenizers_of_others_are_read():
    model = {"type": "BPE", "vocab": {"a": 0, "b": 5, "ab": 9}, "merges": ["a b"]}
    assert read_any_tokenizer(pretty(model), "x.json").encode("ab").ids == [9]


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "x.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"x\.json is not UTF-8 text \(byte 0\)"):
        load_any_tokenizer(tmp_path / "x.json")
