"""Small real data: three languages of Django under a vocabulary of 600 rows, in a cache of this session."""

import pytest

LANGUAGES = ["en", "de", "hi"]


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def make_catalogs(cache):
    from lightning_tying.data import Catalogs

    def make(**options):
        defaults = {"languages": LANGUAGES, "vocabulary_size": 600, "length": 32, "batch_size": 8, "cache_dir": cache}
        return Catalogs(**{**defaults, **options})

    return make


@pytest.fixture
def write_po(tmp_path):
    def write(code, entries, name="messages", folder=tmp_path / "catalogs"):
        place = folder / code / "LC_MESSAGES"
        place.mkdir(parents=True, exist_ok=True)
        header = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n'
        (place / f"{name}.po").write_text(header + entries, encoding="utf-8")
        return folder

    return write
