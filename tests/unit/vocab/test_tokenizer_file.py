"""What is no vocabulary is refused by one clear message."""

import json

import pytest

from lightning_tying.errors import ConfigError
from lightning_tying.vocab import SharedVocabulary


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
