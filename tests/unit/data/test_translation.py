"""Translation between many languages: directions, tags, batches by length, and a run that is resumed."""

import pytest
import torch

from lightning_tying.data.translation_pairs import directions_of
from lightning_tying.errors import ConfigError

MANY = {"languages": ["en", "de", "hi"], "task": "translation", "source": "all"}


def test_directions():
    languages = ["en", "de", "hi"]
    assert directions_of(languages, ["en"]) == (("en", "de"), ("en", "hi"))
    assert len(directions_of(languages, languages)) == 6
    through = directions_of(languages, languages, "en")
    assert set(through) == {("en", "de"), ("en", "hi"), ("de", "en"), ("hi", "en")}


def test_many_to_many_sees_every_direction_with_its_tag(make_catalogs):
    data = make_catalogs(**MANY)
    seen = set()
    for batch in data.train_dataloader():
        sides = zip(batch["source_language"].tolist(), batch["language"].tolist(), strict=True)
        seen.update((data.languages[source], data.languages[target]) for source, target in sides)
        tags = [data.vocabulary.language_ids[data.languages[index]] for index in batch["language"]]
        assert batch["target"][:, 0].tolist() == tags
    assert seen == set(directions_of(data.languages, data.languages))


def test_texts_of_a_pair_belong_together(make_catalogs):
    data = make_catalogs(**MANY, length=200)
    parallel = data.parallel_text("test")
    batch = next(iter(data.test_dataloader()))
    for row, (source, target) in enumerate(zip(batch["source_text"], batch["reference"], strict=True)):
        first = parallel[data.languages[batch["source_language"][row]]]
        second = parallel[data.languages[batch["language"][row]]]
        assert any(text == source and second.get(key) == target for key, text in first.items())
        assert data.vocabulary.decode(batch["source"][row].tolist()) == source


def test_through_one_language(make_catalogs):
    data = make_catalogs(languages=["de", "hi"], task="translation", source="all", through="en")
    rows = data.rows("train")
    assert data.languages == ["en", "de", "hi"] and len(data.directions) == 4 == len(rows.groups)


def test_several_sources(make_catalogs):
    data = make_catalogs(languages=["hi"], task="translation", source=["en", "de"])
    data.rows("train")
    assert data.directions == (("en", "de"), ("en", "hi"), ("de", "en"), ("de", "hi"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": []}, r"data\.source is empty"),
        ({"source": "dee"}, "Nearest: 'de'"),
        ({"source": "all", "languages": ["de"]}, "needs another language"),
        ({"max_tokens": 63}, r"data\.max_tokens is 63.*2 · data\.length = 64"),
    ],
)
def test_bad_options_are_refused(make_catalogs, options, message):
    with pytest.raises(ConfigError, match=message):
        make_catalogs(**{**MANY, **options}).setup("fit")


@pytest.mark.parametrize("max_tokens", [None, 256])
def test_batches_hold_rows_of_nearly_one_length(make_catalogs, max_tokens):
    data = make_catalogs(**MANY, max_tokens=max_tokens)
    padding, tokens = 0, 0
    for batch in data.train_dataloader():
        both = torch.cat([batch["source"], batch["target"]], dim=1)
        padding += int((both == data.vocabulary.pad_id).sum())
        tokens += both.numel()
        assert max_tokens is None or both.numel() <= max_tokens
    assert padding < 0.15 * tokens


def fingerprints(data, epochs):
    loader = data.train_dataloader()
    return [[int(batch["source"].sum()) for batch in loader] for _ in range(epochs)]


def test_a_run_goes_on_where_it_stopped(make_catalogs):
    options = {**MANY, "max_tokens": 256}
    first, second = fingerprints(make_catalogs(**options), 2)
    assert first != second and len(first) == len(second)
    stopped = make_catalogs(**options)
    batches = iter(stopped.train_dataloader())
    for _ in range(7):
        next(batches)
    resumed = make_catalogs(**options)
    resumed.load_state_dict(stopped.state_dict())
    assert fingerprints(resumed, 2) == [first[7:], second]
