"""The catalogues of translations: ``make check`` says besides whether all marked texts are in them."""

from __future__ import annotations

import re
from collections import Counter
from gettext import GNUTranslations

import pytest

from tests.catalogues import GLOSSARY, KEPT, LANGUAGES, PACKAGE, PLACEHOLDER, Entry, catalogue_of, entries_of

CATALOGUES = {language: [*entries_of(catalogue_of(language))] for language in LANGUAGES}
NUMBERS = Counter(f"%({name})s" for name in ("count", "counter", "number", "more", "alive", "total", "ready", "others"))


def wrong(entry: Entry) -> list[str]:
    """Return the forms of a translation that lack a placeholder or a word of a program, or have another one."""
    sources = [entry.texts["msgid"], entry.texts.get("msgid_plural", entry.texts["msgid"])]
    allowed = [_kept(text) for text in sources]
    # The forms for one and for two may leave out the number.
    allowed += [kept - NUMBERS for kept in allowed]
    forms = allowed if "msgid_plural" in entry.texts else allowed[:1]
    return [text for text in entry.translations if _kept(text) not in forms]


def _kept(text: str) -> Counter[str]:
    return Counter([*PLACEHOLDER.findall(text), *KEPT.findall(text)])


def test_each_language_has_a_catalogue():
    assert sorted(path.name for path in (PACKAGE / "locale").iterdir()) == sorted(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated(language):
    entries = CATALOGUES[language][1:]
    assert len(entries) > 100
    assert [entry.texts["msgid"] for entry in entries if not all(entry.translations)] == []
    assert [entry.texts["msgid"] for entry in entries if "fuzzy" in entry.flags] == []
    plurals = [entry for entry in entries if "msgid_plural" in entry.texts]
    assert {len(entry.translations) for entry in plurals} == {LANGUAGES[language]}


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_keep_placeholders_and_words_of_programs(language):
    assert [text for entry in CATALOGUES[language][1:] for text in wrong(entry)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_end_as_their_texts_do(language):
    ends = {"\u3002": ".", "\uff1a": ":", "\uff1f": "?", "\u061f": "?"}  # of Chinese and Arabic
    bad = []
    for entry in CATALOGUES[language][1:]:
        source = entry.texts["msgid"][-1]
        for text in entry.translations:
            end = ends.get(text[-1], text[-1])
            if end != source and {end, source} & set(".:?"):
                bad.append(text)
    assert bad == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_has_one_name(language):
    bad: list[str] = []
    for word, names in GLOSSARY.items():
        # Not in names of programs and of what is put in.
        named = re.compile(rf"(?<![\w{{'.(-])[{word[0]}{word[0].upper()}]{word[1:]}(?:e?s)?\b(?![\w'(.]\w)")
        with_it = [entry for entry in CATALOGUES[language][1:] if named.search(entry.texts["msgid"])]
        bad += [e.texts["msgid"] for e in with_it if not re.search(names[language], " ".join(e.translations))]
    assert bad == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_catalogue_is_that_of_the_text(language):
    with catalogue_of(language).with_suffix(".mo").open("rb") as file:
        compiled = GNUTranslations(file)
    for entry in CATALOGUES[language][1:]:
        context = entry.texts.get("msgctxt")
        key = entry.texts["msgid"] if context is None else f"{context}\x04{entry.texts['msgid']}"
        if "msgid_plural" in entry.texts:
            found = {compiled.ngettext(key, "", number) for number in range(200)}
            assert found == set(entry.translations)
        else:
            assert compiled.gettext(key) == entry.translations[0]


def test_every_catalogue_has_the_same_texts():
    keys = [
        {(entry.texts.get("msgctxt"), entry.texts["msgid"]) for entry in entries} for entries in CATALOGUES.values()
    ]
    assert all(each == keys[0] for each in keys)


@pytest.mark.parametrize(
    ("translation", "is_right"),
    [("%(count)s Jobs <b>x</b>", True), ("%(number)s Jobs <b>x</b>", False), ("%(count)s Jobs x", False)],
)
def test_a_wrong_translation_is_found(translation, is_right):
    entry = Entry(texts={"msgid": "%(count)s jobs <b>x</b>", "msgstr": translation})
    assert (wrong(entry) == []) == is_right
