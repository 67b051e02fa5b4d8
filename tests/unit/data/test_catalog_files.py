"""What is read of gettext catalogues, and what is not."""

import polib
import pytest

from lightning_tying.data.catalog_files import find_catalogs, find_package, read_messages
from lightning_tying.errors import ConfigError

GERMAN = """
msgid "Yes"
msgstr "Ja"

msgctxt "month"
msgid "May"
msgstr "Mai"

msgid "OK"
msgstr "OK"

msgid "Later"
msgstr ""

#, fuzzy
msgid "Almost"
msgstr "Beinahe"

msgid "%d file"
msgid_plural "%d files"
msgstr[0] "%d Datei"
msgstr[1] "%d Dateien"

#~ msgid "Old"
#~ msgstr "Alt"
"""
ENGLISH = 'msgid "Yes"\nmsgstr ""\n\nmsgid "OK"\nmsgstr ""\n\nmsgid "colour"\nmsgstr "color"\n'


def read(folder, *languages):
    return read_messages(find_catalogs(folder), languages)


def test_untranslated_fuzzy_and_obsolete_entries_are_dropped(write_po):
    folder = write_po("de", GERMAN)
    assert read(folder, "de") == {"de": {"Yes": "Ja", "month\x04May": "Mai", "%d file": "%d Datei"}}


def test_english_is_the_message_id_and_exempt_from_the_copy_rule(write_po):
    write_po("de", GERMAN)
    folder = write_po("en", ENGLISH)
    assert read(folder, "en", "de")["en"] == {"OK": "OK", "Yes": "Yes", "colour": "color"}


def test_english_without_a_file_is_the_ids_of_the_others(write_po):
    folder = write_po("de", GERMAN)
    english = read(folder, "en")["en"]
    assert english == {"%d file": "%d file", "Later": "Later", "OK": "OK", "Yes": "Yes", "month\x04May": "May"}


def test_the_source_is_read_where_the_compiled_file_is_empty(write_po):
    folder = write_po("en", ENGLISH)
    source = folder / "en" / "LC_MESSAGES" / "messages.po"
    empty = polib.POFile()
    empty.metadata = {"Content-Type": "text/plain; charset=UTF-8"}
    empty.save_as_mofile(str(source.with_suffix(".mo")))
    assert set(read(folder, "en")["en"]) == {"Yes", "OK", "colour"}


def test_a_compiled_file_is_enough(write_po):
    folder = write_po("de", GERMAN)
    source = folder / "de" / "LC_MESSAGES" / "messages.po"
    polib.pofile(str(source)).save_as_mofile(str(source.with_suffix(".mo")))
    source.unlink()
    assert set(read(folder, "de")["de"].values()) == {"Ja", "Mai", "%d Datei"}


def test_flat_folders_and_several_domains(write_po, tmp_path):
    folder = write_po("fr", 'msgid "Yes"\nmsgstr "Oui"\n', name="a")
    write_po("fr", 'msgid "Yes"\nmsgstr "Si"\n\nmsgid "No"\nmsgstr "Non"\n', name="b")
    (folder / "pt_BR.po").write_text((folder / "fr" / "LC_MESSAGES" / "a.po").read_text())
    assert read(folder, "fr", "pt-BR") == {"fr": {"Yes": "Oui", "No": "Non"}, "pt-BR": {"Yes": "Oui"}}


def test_missing_package_names_the_extra():
    with pytest.raises(
        ConfigError, match=r"package 'no_such' is not installed.*pip install 'lightning-tying\[examples\]'"
    ):
        find_package("no_such")
    with pytest.raises(ConfigError, match="is not installed"):
        find_package("no.such.package")


def test_missing_polib_names_the_extra(write_po, monkeypatch):
    folder = write_po("de", GERMAN)
    monkeypatch.setitem(__import__("sys").modules, "polib", None)
    with pytest.raises(ConfigError, match=r"polib, which is not installed: pip install 'lightning-tying\[examples\]'"):
        read(folder, "de")


def test_folders_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match=r"data\.folder: .*nothing cannot be read: No such file"):
        find_catalogs(tmp_path / "nothing")
    (tmp_path / "README.txt").write_text("x")
    with pytest.raises(ConfigError, match=r"no catalogues \(\.mo, \.po\) below"):
        find_catalogs(tmp_path)


@pytest.mark.parametrize("name", ["messages.mo", "messages.po"])
def test_broken_catalogue_is_named(tmp_path, name):
    place = tmp_path / "de" / "LC_MESSAGES"
    place.mkdir(parents=True)
    (place / name).write_bytes(b"\xff\xfenonsense")
    with pytest.raises(ConfigError, match=rf"the catalogue .*{name} cannot be read"):
        read(tmp_path, "de")
