"""Reads a crontab whose commands are management commands or paths of tasks."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from django.conf import settings

from .foreign_schedules import ForeignSchedule, Unconvertible, given

_VARIABLE = re.compile(r"\s*(\w+)\s*=\s*(.*)")
#: The characters of the shell's operators, and the operators for the output of a command.
OPERATORS, REDIRECTS = "();<>|&", (">", ">>", ">&", "&>", "&>>", ">|")
#: The number in front of a redirect, as in ``2> FILE``.
_DESCRIPTOR = re.compile(rf"(?<![^\s{OPERATORS}])\d+(?=>)")
#: Matches quoted text. Within double quotes the shell still replaces variables and commands.
_QUOTED = re.compile(r"""\\.|'[^']*'|"(?:\\.|[^"\\])*\"""")
#: Replacements for special characters that are quoted: characters for private use.
_MASKS = {ord(each): 0xE000 + ord(each) for each in f"{OPERATORS}*?[{{~#!$`"}
_MASKS_IN_DOUBLE_QUOTES = {code: mask for code, mask in _MASKS.items() if chr(code) not in "$`"}
_UNMASKED = {mask: code for code, mask in _MASKS.items()}
#: Words that the shell interprets, and arguments in which it replaces something.
_NOT_PLAIN = re.compile(rf"[{OPERATORS}]+|!|#.*|.*[$`].*")
_EXPANDED = re.compile(r"[*?\[{]|(?:^|[=:])~")
_MORE = "the shell does more than to run one management command."
#: Options of management commands that choose the project. They are dropped, as it is always this project.
PROJECT_OPTIONS = ("--settings", "--pythonpath")
FIELDS = 5
#: Commands that prepare the environment, and the number of their words: the command, one argument, and an operator.
PREPARATIONS, WORDS_OF_PREPARATION = ("cd", ".", "source"), 3
TASK_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def read_crontab(file: Path, *, has_user: bool = False) -> Iterator[ForeignSchedule]:
    """Yield the lines of a crontab. ``has_user``: the lines name a user before the command, as in ``/etc/crontab``.

    Raises ``OSError``.
    """
    names: Counter[str] = Counter()
    variables: dict[str, str] = {}
    for number, line in enumerate(file.read_text().splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if variable := _VARIABLE.fullmatch(text):
            variables[variable[1]] = variable[2].strip("\"'")
            continue
        try:
            schedule, command = _parts(text, has_user=has_user)
            run, notes = _run_of(command)
        except Unconvertible as reason:
            yield ForeignSchedule(name=f"line {number}", problem=f"{reason} ({text})")
            continue
        names[run] += 1
        name = run if names[run] == 1 else f"{run} {names[run]}"
        values = given({"run": run, "schedule": schedule, "timezone": variables.get("CRON_TZ", "")})
        yield ForeignSchedule(name=name, values=values, notes=(*notes, *_notes_of_zone(variables)))


def _notes_of_zone(variables: Mapping[str, str]) -> Iterator[str]:
    """Yield a note if ``TZ`` gives the commands another time zone: cron does not use ``TZ`` for the schedules."""
    zone = variables.get("TZ", "")
    if zone and zone != (variables.get("CRON_TZ") or settings.TIME_ZONE):
        yield f"TZ={zone} is not its time zone: cron gives TZ to the command, and runs it by CRON_TZ."


def _parts(text: str, *, has_user: bool) -> tuple[str, str]:
    """Return the schedule and the command of a line."""
    count = (1 if text.startswith("@") else FIELDS) + has_user
    words = text.split(None, count)
    if len(words) <= count:
        raise Unconvertible("the line has no command.")
    fields = words[: count - has_user]
    if fields == ["@reboot"]:
        raise Unconvertible("nothing here runs when the machine starts. See run_on_start for schedules in code.")
    return " ".join(fields), words[-1]


def _run_of(command: str) -> tuple[str, tuple[str, ...]]:
    """Return ``run`` for a command of the shell, and notes."""
    if re.search(r"(?<!\\)%", command):
        raise Unconvertible("a percent sign is a line break for cron, which gives the rest to the command.")
    words, had_output = _without_output(_words(command.replace(r"\%", "%")))
    words = _without_preparation(words)
    if any(map(_NOT_PLAIN.fullmatch, words)):
        raise Unconvertible(_MORE)
    before, found = _split_at_manage(words)
    arguments = _without_project(found)
    if any(map(_EXPANDED.search, arguments)):
        raise Unconvertible(_MORE)
    if not arguments:
        raise Unconvertible("manage.py has no command.")
    notes = ["Its output is the result of the job."] if had_output else []
    notes += [f"The command in front of it is left out: {_line(before)}."] if before else []
    return _line(arguments), tuple(notes)


def _line(words: Sequence[str]) -> str:
    """Return the words, which have masked characters, as a command."""
    return shlex.join(word.translate(_UNMASKED) for word in words)


def _split_at_manage(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the words before the interpreter and those after ``manage.py``; for a task, none and its path."""
    for place, word in enumerate(words):
        is_module = [*words[place : place + 2]] == ["-m", "django"]
        if word.endswith("manage.py") or Path(word).name == "django-admin" or is_module:
            before = [*words[:place]]
            while before and before[-1].startswith("-"):
                before.pop()
            if before and Path(before[-1]).name.startswith("python"):
                before.pop()
            if variables := [each.partition("=")[0] for each in before if "=" in each]:
                raise Unconvertible(f"it sets {', '.join(variables)} for the command.")
            return before, [*words[place + 1 + is_module :]]
    if len(words) == 1 and TASK_PATH.fullmatch(words[0]):
        return [], [*words]
    raise Unconvertible("it is neither a management command nor the path of a task.")


def _words(command: str) -> list[str]:
    """Return the words and operators. Quoted special characters are masked."""
    masked = _DESCRIPTOR.sub("", _QUOTED.sub(_masked, command))
    lexer = shlex.shlex(masked, posix=True, punctuation_chars=OPERATORS)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return [*lexer]
    except ValueError as error:
        raise Unconvertible(f"it cannot be split into words: {error}.") from None


def _masked(quoted: re.Match[str]) -> str:
    return quoted[0].translate(_MASKS_IN_DOUBLE_QUOTES if quoted[0].startswith('"') else _MASKS)


def _without_output(words: Sequence[str]) -> tuple[list[str], bool]:
    """Return the words without redirects of the output (``>> FILE 2>&1``), and whether there were any."""
    kept: list[str] = []
    place = 0
    while place < len(words):
        if words[place] in REDIRECTS:
            place += 2
        else:
            kept.append(words[place])
            place += 1
    return kept, len(kept) < len(words)


def _without_preparation(words: Sequence[str]) -> list[str]:
    """Return the words without ``cd FOLDER &&`` and ``. FILE &&`` at their start."""
    rest = [*words]
    while len(rest) > WORDS_OF_PREPARATION and rest[0] in PREPARATIONS and rest[2] in ("&&", ";"):
        rest = rest[WORDS_OF_PREPARATION:]
    return rest


def _without_project(words: Sequence[str]) -> list[str]:
    kept: list[str] = []
    rest = iter(words)
    for word in rest:
        if word in PROJECT_OPTIONS:
            next(rest, None)
        elif not word.startswith(tuple(f"{option}=" for option in PROJECT_OPTIONS)):
            kept.append(word)
    return kept
