"""Vocabularies of text data: learned by each strategy, given as files, united, separate, and refused."""

import pytest

from lightning_tying.data import Catalogs
from lightning_tying.data.recipe import Recipe
from lightning_tying.errors import ConfigError
from lightning_tying.vocab.rows import make_row_map, save_row_map
from lightning_tying.vocab.separate_vocabularies import SeparateVocabularies
from lightning_tying.vocab.training.members import train_members
from lightning_tying.vocab.united_vocabulary import UnitedVocabulary


def recipe(**values):
    return {"recipe": Recipe(**values)}


@pytest.fixture(scope="module")
def members(make_catalogs):
    texts = make_catalogs(languages=["es", "pt"]).split_text("train")
    return train_members(texts, 400)


@pytest.fixture(scope="module")
def files(members, tmp_path_factory):
    folder = tmp_path_factory.mktemp("members")
    for language, member in members.items():
        member.save(folder / f"{language}.json")
    return {language: str(folder / f"{language}.json") for language in members}


def texts_of(vocabulary, batch, languages):
    return [
        vocabulary.decode(ids, languages[language])
        for ids, language in zip(batch["target"].tolist(), batch["language"].tolist(), strict=True)
    ]


def test_parity_compares_on_aligned_messages_and_is_kept(make_catalogs, monkeypatch):
    data = make_catalogs(languages=["en", "de", "el"], vocabulary_size=800, **recipe(strategy="parity"))
    data.setup("fit")
    counts = {}
    for language, texts in data.parallel_text("test").items():
        keys = set.intersection(*(set(texts) for texts in data.parallel_text("test").values()))
        counts[language] = sum(map(len, data.vocabulary.encode_many([texts[key] for key in sorted(keys)])))
    assert max(counts.values()) < 1.3 * min(counts.values())
    monkeypatch.setattr("lightning_tying.data.vocabulary_choice.learn_vocabulary", None)  # the cache is enough
    again = make_catalogs(languages=["en", "de", "el"], vocabulary_size=800, **recipe(strategy="parity"))
    again.setup("fit")
    assert again.vocabulary == data.vocabulary


def test_parity_wants_messages_that_all_languages_have(write_po, cache):
    for code, first in (("de", 0), ("fr", 100)):
        entries = "".join(f'msgid "m{n}"\nmsgstr "{code} {n}"\n\n' for n in range(first, first + 60))
        folder = write_po(code, entries)
    data = Catalogs(
        folder=str(folder), languages=["de", "fr"], vocabulary_size=300, cache_dir=cache, **recipe(strategy="parity")
    )
    with pytest.raises(ConfigError, match=r"data\.recipe\.strategy: parity compares .* there are 0, and 20 are needed"):
        data.setup("fit")


def test_united_rows_serve_language_modeling(make_catalogs):
    data = make_catalogs(
        languages=["es", "pt"], vocabulary_size=800, **recipe(strategy="per_language", policy="surface")
    )
    with pytest.warns(UserWarning, match=r"members share the rest.*set data\.vocabulary_size: \d+"):
        data.setup("fit")
    vocabulary = data.vocabulary
    assert isinstance(vocabulary, UnitedVocabulary)
    assert [member.size for member in vocabulary.members.values()] == [400, 400]
    assert vocabulary.size < 700
    expected = {
        language: sum(len(t.encode()) + 1 for t in texts) for language, texts in data.split_text("test").items()
    }
    found = dict.fromkeys(data.languages, 0)
    for batch in data.test_dataloader():
        assert int(batch["tokens"].max()) < vocabulary.size
        for index, count in zip(batch["language"].tolist(), batch["bytes"].tolist(), strict=True):
            found[data.languages[index]] += count
    assert found == expected


@pytest.mark.parametrize("policy", ["surface", "surface_similar", "dictionary", "none"])
def test_every_policy_gives_back_the_texts(make_catalogs, policy):
    values = {"strategy": "per_language", "policy": policy, "dictionary": "emoji", "member_size": 400}
    options = {"languages": ["pt"], "source": "es", "task": "translation", "vocabulary_size": 800, "length": 200}
    data = make_catalogs(**options, **recipe(**values))
    batch = next(iter(data.test_dataloader()))
    assert texts_of(data.vocabulary, batch, data.languages) == batch["reference"]
    assert data.vocabulary.rows.policy == policy
    specials = {data.vocabulary.pad_id, data.vocabulary.eos_id}
    shared = set(data.vocabulary.rows.rows_of("es")) & set(data.vocabulary.rows.rows_of("pt"))
    assert (shared == specials) == (policy == "none")


def test_more_rows_than_the_network_has_are_refused(make_catalogs):
    data = make_catalogs(
        languages=["es", "pt"], vocabulary_size=450, **recipe(strategy="per_language", member_size=400)
    )
    with pytest.raises(ConfigError, match=r"rows, more than data\.vocabulary_size \(450\).*set data\.vocabulary_size"):
        data.setup("fit")


def test_given_files_are_united_by_policy_or_by_a_row_map(make_catalogs, files, members, tmp_path):
    options = {"languages": ["es", "pt"], "vocabulary": files, "vocabulary_size": 800}
    by_policy = make_catalogs(**options)
    by_policy.setup("fit")
    rows = make_row_map(members, "none")
    save_row_map(rows, tmp_path)
    by_map = make_catalogs(**options, **recipe(rows=str(tmp_path / "rows.safetensors")))
    by_map.setup("fit")
    assert by_policy.vocabulary.size < by_map.vocabulary.size == rows.n_rows
    other = train_members({"es": ["uno dos"], "pt": ["um dois"]}, 270)
    for language, member in other.items():
        member.save(tmp_path / f"{language}.json")
    wrong = {language: str(tmp_path / f"{language}.json") for language in other}
    mixed = make_catalogs(**{**options, "vocabulary": wrong}, **recipe(rows=str(tmp_path / "rows.safetensors")))
    with pytest.raises(ConfigError, match=r"made for|other vocabular|digest|another"):
        mixed.setup("fit")


def test_the_folder_of_a_united_vocabulary_is_taken(make_catalogs, members, tmp_path):
    united = UnitedVocabulary(members, make_row_map(members))
    united.save(tmp_path)
    data = make_catalogs(languages=["es", "pt"], vocabulary=str(tmp_path), vocabulary_size=united.size)
    data.setup("fit")
    assert data.vocabulary == united


def test_source_and_target_keep_their_own_ids(make_catalogs):
    options = {"languages": ["pt"], "source": "es", "task": "translation", "length": 200}
    data = make_catalogs(**options, vocabulary_size=500, source_vocabulary_size=350)
    data.setup("fit")
    vocabulary = data.vocabulary
    assert isinstance(vocabulary, SeparateVocabularies)
    assert {language: member.size for language, member in vocabulary.members.items()} == {"es": 350, "pt": 500}
    batch = next(iter(data.test_dataloader()))
    sources = [vocabulary.members["es"].decode(ids) for ids in batch["source"].tolist()]
    assert sources == batch["source_text"]
    assert texts_of(vocabulary, batch, data.languages) == batch["reference"]
    fresh = make_catalogs(**options, vocabulary_size=500, source_vocabulary_size=350)
    fresh.load_state_dict(data.state_dict())
    assert fresh.vocabulary == vocabulary


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"languages": ["pt", "fr"]}, "source and target have vocabularies of their own where"),
        ({"source": "all"}, "source and target have vocabularies of their own where"),
        ({"task": "language_modeling"}, "is for translation"),
        ({"source_vocabulary_size": 0}, "must be positive"),
    ],
)
def test_separate_vocabularies_are_for_one_direction(make_catalogs, options, message):
    values = {"languages": ["es", "pt"], "source": "es", "task": "translation", "source_vocabulary_size": 300}
    with pytest.raises(ConfigError, match=message):
        make_catalogs(**{**values, **options}).setup("fit")


def test_one_file_is_not_two_vocabularies(make_catalogs, files):
    options = {"languages": ["pt"], "source": "es", "task": "translation", "source_vocabulary_size": 400}
    with pytest.raises(ConfigError, match=r"data\.source_vocabulary_size says .* holds one"):
        make_catalogs(**options, vocabulary=files["es"]).setup("fit")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"strategy": "party"}, r"data\.recipe\.strategy is 'party'.*Nearest: 'parity'"),
        ({"policy": "similar"}, r"data\.recipe\.policy is 'similar'"),
        ({"policy": "dictionary"}, r"needs data\.recipe\.dictionary"),
        ({"threshold": 2.0}, "must lie between 0 and 1"),
        ({"member_size": 0}, "must be positive"),
    ],
)
def test_bad_recipes_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        Recipe(**values)


def test_a_language_without_a_file_is_named(make_catalogs, files):
    with pytest.raises(ConfigError, match=r"names no tokenizer\.json for fr"):
        make_catalogs(languages=["es", "pt", "fr"], vocabulary=files).setup("fit")
    swapped = {"es": files["pt"], "pt": files["es"]}
    with pytest.raises(ConfigError, match=r"pt\.json has no tag for es"):
        make_catalogs(languages=["es", "pt"], vocabulary=swapped).setup("fit")


def test_dictionaries_of_the_data(make_catalogs, tmp_path):
    data = make_catalogs(languages=["en", "de"])
    emoji = data.dictionary("emoji")
    assert len(emoji) > 1000 and {"en", "de"} >= set(emoji[0])
    table = tmp_path / "own.tsv"
    table.write_text("en\tde\tfr\ndog\tHund\tchien\ncat\t\tchat\n", encoding="utf-8")
    assert [dict(group) for group in data.dictionary(str(table))] == [{"en": ("dog",), "de": ("Hund",)}]
    assert any(group["en"] == ("password",) for group in data.dictionary("induced") if "en" in group)
    for name, message in (("emojis", "must be emoji, babel, induced, or a .tsv"), ("no.tsv", "cannot be read")):
        with pytest.raises(ConfigError, match=message):
            data.dictionary(name)


def test_another_dictionary_is_another_vocabulary(make_catalogs, tmp_path):
    table = tmp_path / "own.tsv"
    sizes = []
    for line in ("el\to", "de\tdo"):
        table.write_text(f"es\tpt\n{line}\n", encoding="utf-8")
        values = {"strategy": "per_language", "policy": "dictionary", "dictionary": str(table), "member_size": 400}
        data = make_catalogs(languages=["es", "pt"], vocabulary_size=800, **recipe(**values))
        data.setup("fit")
        sizes.append(data.vocabulary.digest)
    assert sizes[0] != sizes[1]


def test_a_recipe_comes_from_the_command_line():
    from lightning.pytorch import LightningDataModule
    from lightning.pytorch.cli import LightningArgumentParser

    parser = LightningArgumentParser()
    parser.add_lightning_class_args(LightningDataModule, "data", subclass_mode=True)
    words = ["--data=lightning_tying.data.Catalogs", "--data.recipe.strategy=per_language", "--data.source=all"]
    data = parser.instantiate(parser.parse_args([*words, "--data.vocabulary={es: es.json, pt: pt.json}"])).data
    assert data.options.recipe == Recipe(strategy="per_language")
    assert data.options.vocabulary == {"es": "es.json", "pt": "pt.json"} and data.options.source == "all"
