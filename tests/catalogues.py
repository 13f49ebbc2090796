"""Make the catalogues of translations: ``python -m tests.catalogues``, which is ``make messages``.

It collects the marked texts of the package, and compiles the catalogues. ``--check`` makes them in a copy of the
package, and fails if they differ from the stored catalogues. It needs GNU gettext.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command
from django.core.management.commands import makemessages

PACKAGE = Path(__file__).resolve().parent.parent / "django_loco"
#: The languages by the names of their folders, each with its number of plural forms.
LANGUAGES = {"ar": 6, "de": 2, "es": 2, "fr": 2, "zh_Hans": 1}
#: Lines of a header that differ from run to run, or that mean nothing.
CHANGING = re.compile(
    r'^"(POT-Creation-Date|PO-Revision-Date|Last-Translator|Report-Msgid-Bugs-To): .*\n', re.MULTILINE
)
#: Matches the placeholders in a text.
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%%s|\{\w+\}|%s")
#: Matches elements and words of programs that translations must keep.
KEPT = re.compile(
    r"</?\w+[^>]*>|\b(?:LOCO|OPTIONS|TASKS|[A-Z]{3,}_[A-Z_]+)\b|\bloco_\w+|--\w+|\bolder:7d\b|\b\w+\.py\b"
)

#: The word for each term in each language, as a pattern. Each term has only one word.
GLOSSARY = {
    "job": {"ar": "وظيف|وظائف", "de": "[Jj]ob", "es": "rabajo", "fr": "[Jj]ob", "zh_Hans": "作业"},
    "task": {"ar": "مهم|مهام", "de": "Task", "es": "area", "fr": "âche", "zh_Hans": "任务"},
    "queue": {"ar": "طابور|طوابير", "de": "arteschlange", "es": "[Cc]ola", "fr": "[Ff]ile", "zh_Hans": "队列"},
    "worker": {"ar": "عامل|عمّال", "de": "Worker", "es": "[Ww]orker", "fr": "[Ww]orker", "zh_Hans": "工作进程"},
    "scheduler": {"ar": "مجدول", "de": "Scheduler", "es": "lanificador", "fr": "lanificateur", "zh_Hans": "调度器"},
    "schedule": {"ar": "جدول", "de": "eitpl", "es": "rogramaci", "fr": "lanification", "zh_Hans": "计划"},
    "attempt": {"ar": "محاول", "de": "ersuch", "es": "ntento", "fr": "entative", "zh_Hans": "尝试"},
    "batch": {"ar": "دفع", "de": "Batch", "es": "[Ll]ote", "fr": "[Ll]ot", "zh_Hans": "批次"},
    "tag": {"ar": "وسم|وسوم", "de": "chlagw[oö]rt", "es": "tiqueta", "fr": "tiquette", "zh_Hans": "标签"},
}


class Command(makemessages.Command):
    """Never guesses a translation from the translation of a similar text."""

    msgmerge_options = [*makemessages.Command.msgmerge_options, "--no-fuzzy-matching"]


@dataclass
class Entry:
    """A text with its translation."""

    flags: str = ""
    texts: dict[str, str] = field(default_factory=dict)
    """The texts after ``msgctxt``, ``msgid``, ``msgid_plural``, ``msgstr`` and ``msgstr[0]``."""

    @property
    def translations(self) -> list[str]:
        """The translation, or its plural forms."""
        return [text for key, text in self.texts.items() if key.startswith("msgstr")]


def entries_of(catalogue: Path) -> Iterator[Entry]:
    """Yield the entries of a ``.po`` file. The first entry is the header."""
    for block in catalogue.read_text().split("\n\n"):
        entry, key = Entry(), ""
        for line in block.splitlines():
            if line.startswith("#,"):
                entry.flags = line
            elif line.startswith("#"):
                continue
            elif line.startswith('"'):
                entry.texts[key] += _text(line)
            else:
                key, _, quoted = line.partition(" ")
                entry.texts[key] = _text(quoted)
        if entry.texts:
            yield entry


def catalogue_of(language: str, package: Path = PACKAGE) -> Path:
    """Return the path of the ``.po`` file of a language. The compiled file is in the same folder."""
    return package / "locale" / language / "LC_MESSAGES" / "django.po"


def make(package: Path) -> None:
    """Update the catalogues of ``package`` and compile them."""
    with chdir(package):
        call_command(
            Command(), locale=[*LANGUAGES], verbosity=0, no_location=True, no_wrap=True, no_obsolete=True, all=False
        )
    for language in LANGUAGES:
        catalogue = catalogue_of(language, package)
        catalogue.write_text(CHANGING.sub("", catalogue.read_text()))
        compiled = catalogue.with_suffix(".mo")
        subprocess.run(["msgfmt", "--check-format", "--check-domain", "--output-file", compiled, catalogue], check=True)


def differences(package: Path) -> list[str]:
    """Return the catalogues whose texts ``make`` would change.

    Formatting is ignored: it depends on gettext's release.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, package.name)
        shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
        make(copy)
        found = {language: (catalogue_of(language, copy), catalogue_of(language, package)) for language in LANGUAGES}
        return [
            str(stored.relative_to(package))
            for made, stored in found.values()
            if not stored.is_file() or _texts(made) != _texts(stored)
        ]


def _texts(catalogue: Path) -> list[dict[str, str]]:
    _, *entries = entries_of(catalogue)
    return [entry.texts for entry in entries]


def _text(quoted: str) -> str:
    return re.sub(r"\\(.)", lambda match: {"n": "\n", "t": "\t"}.get(match[1], match[1]), quoted[1:-1])


def main(arguments: list[str]) -> str | None:
    """Make or check the catalogues. Return the problem, if there is one."""
    if not shutil.which("msgfmt") or not shutil.which("xgettext"):
        missing = "GNU gettext is missing: apt-get install gettext"
        if arguments != ["--check"]:
            return missing
        print(f"{missing}. Unit tests have checked the catalogues; texts that are not in them were not looked for.")
        return None
    settings.configure()
    django.setup()
    os.environ["LC_ALL"] = "C.UTF-8"
    if arguments != ["--check"]:
        make(PACKAGE)
        return None
    different = differences(PACKAGE)
    return f"Run `make messages`: {', '.join(different)} would change." if different else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
