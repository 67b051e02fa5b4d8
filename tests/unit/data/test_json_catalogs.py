"""JSON catalogues: where they lie, what they hold, and what is refused; and the large packages where installed."""

import json
from importlib.util import find_spec

import pytest

from lightning_tying.data import Catalogs
from lightning_tying.data.catalog_files import find_package
from lightning_tying.data.corpus import CONTEXT_END, split_of
from lightning_tying.data.json_catalogs import find_json_catalogs, read_json_messages
from lightning_tying.errors import ConfigError

MARK = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return tmp_path

    return write


def test_layouts_and_what_is_left_out(write):
    write("locale/pt_BR/LC_MESSAGES/app.json", {"A.yes": "Sim"})
    write("locale/ach_UG/LC_MESSAGES/app.json", {"A.yes": "crwdns1"})
    write(f"translations/config/de-{MARK}.json", {"a": {"b": "Ja", "n": 3}})
    write("i18n/fr.json", {"yes": "Oui"})
    folder = write("package.json", {"name": "x"})
    found = find_json_catalogs(folder)
    assert [(catalog.language, catalog.domain) for catalog in found] == [
        ("de", "config"),
        ("fr", "i18n"),
        ("pt-BR", "app"),
    ]
    assert read_json_messages(found, ["de", "pt-BR"]) == {"de": {"config.a.b": "Ja"}, "pt-BR": {"app.A.yes": "Sim"}}


def test_english_is_the_key_and_its_copies_are_dropped(write):
    write("locale/en.json", {"a": "Log in", "b": "Log in:", "c": "OK", "d": " "})
    folder = write("locale/de.json", {"a": "Anmelden", "b": "Anmelden:", "c": "OK", "d": "Neu"})
    messages = read_json_messages(find_json_catalogs(folder), ["en", "de"])
    assert list(messages["en"].values()) == ["Log in", "Log in:", "OK"]
    assert list(messages["de"].values()) == ["Anmelden", "Anmelden:", "Neu"]
    assert messages["de"].keys() & messages["en"].keys() == {
        f"locale.a{CONTEXT_END}Log in",
        f"locale.b{CONTEXT_END}Log in:",
    }
    assert len({split_of(key) for key in messages["en"] if "Log in" in key}) == 1  # one English text, one split


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "is no JSON in UTF-8"), ("[1]", "must be an object"), ('{"a":' * 20000, "nests too deep|is no JSON")],
)
def test_what_is_no_catalogue_is_refused_by_its_name(write, content, message):
    folder = write("locale/de.json", content)
    with pytest.raises(ConfigError, match=rf"de\.json.*({message})"):
        read_json_messages(find_json_catalogs(folder), ["de"])


def test_bytes_that_are_no_utf8_are_refused(write):
    folder = write("locale/de.json", {})
    (folder / "locale/de.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(ConfigError, match=r"de\.json is no JSON in UTF-8"):
        read_json_messages(find_json_catalogs(folder), ["de"])


def test_catalogs_reads_a_folder_of_json(write, cache):
    words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    texts = {f"{a}{b}": f"{a} and {b}" for a in words for b in words}
    write("locale/en.json", texts)
    folder = write("locale/de.json", {key: f"Nun: {text}" for key, text in texts.items()})
    data = Catalogs(folder=str(folder), languages="all", task="translation", vocabulary_size=300, cache_dir=cache)
    assert sum(len(data.split_text(split)["de"]) for split in ("train", "val", "test")) == 100
    batch = next(iter(data.train_dataloader()))
    assert all(a == f"Nun: {b}" for a, b in zip(batch["reference"], batch["source_text"], strict=True))


def test_a_changed_file_is_read_again(write, cache):
    texts = {f"m{n}": f"text number {n}" for n in range(40)}
    folder = write("locale/de.json", texts)
    options = {"folder": str(folder), "languages": ["de"], "vocabulary_size": 300, "cache_dir": cache}
    before = Catalogs(**options).read_messages()["de"]
    write("locale/de.json", {**texts, "m41": "one more text"})
    after = Catalogs(**options).read_messages()["de"]
    assert set(after.values()) - set(before.values()) == {"one more text"}


@pytest.mark.parametrize(
    ("package", "requirement"),
    [("kolibri", "kolibri"), ("home-assistant-frontend", r"home-assistant-frontend==20250109\.2")],
)
def test_an_absent_package_says_how_to_get_it(package, requirement, monkeypatch):
    monkeypatch.setattr("lightning_tying.data.catalog_files.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=rf"is not installed.*pip install --no-deps {requirement}"):
        find_package(package)


@pytest.mark.skipif(find_spec("kolibri") is None, reason="kolibri is not installed")
def test_kolibri(cache):
    data = Catalogs(package="kolibri", languages="all", cache_dir=cache)
    messages = data.read_messages()
    assert len(messages) == 33 and "ach-UG" not in messages
    assert len(messages["en"]) > 4000
    assert sum(len(texts) > 2900 for texts in messages.values()) == 33


@pytest.mark.skipif(find_spec("hass_frontend") is None, reason="home-assistant-frontend is not installed")
def test_home_assistant(cache):
    data = Catalogs(package="home-assistant-frontend", languages=["en", "de", "hi"], cache_dir=cache)
    messages = data.read_messages()
    assert len(messages["de"]) > 5500
    assert len(messages["de"]) > 40 * len(messages["hi"])  # unbalanced by nature
