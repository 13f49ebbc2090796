"""What the documentation says is so: its code compiles, its names exist, its tables are complete."""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from django.core.management import get_commands, load_command_class
from django.test import override_settings

from django_loco import _INSTEAD, checks, exceptions, jobs, scheduler
from django_loco.conf import LocoSettings, problems
from django_loco.core.task_options import CALL_OPTIONS, TASK_OPTIONS
from django_loco.jobs import STATES
from django_loco.jobs.language import filter_of
from django_loco.jobs.language.words import WORDS
from django_loco.queues import Queue
from django_loco.queues.redis import check as redis_check
from django_loco.scheduler.options import OF_DATA, ZonedOptions, options_of

pytestmark = pytest.mark.own_database
#: Loggers, and paths that are not there any more, or never were.
NO_MODULES = {"django_loco.operations", "django_loco.runtime", "django_loco.supervisor", *_INSTEAD}
ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), ROOT / "README.md", ROOT / "CHANGELOG.md"]
#: Every command has these; Django documents them.
OF_DJANGO = {"--help", "-h", "--version", "--verbosity", "-v", "--settings", "--pythonpath", "--traceback"} | {
    "--no-color",
    "--force-color",
    "--skip-checks",
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(language: str) -> list[Any]:
    return list(_blocks(language))


def _blocks(language: str) -> Iterator[Any]:
    for page in PAGES:
        for match in re.finditer(rf"^```{language}\b[^\n]*\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
            line = page.read_text()[: match.start()].count("\n") + 1
            yield pytest.param(match[1], id=f"{name_of(page)}:{line}")


def rows(page: str, section: str = "") -> list[list[str]]:
    """Return the cells of the first column's code words, row by row, of the tables in a section of a page."""
    text = (DOCS / page).read_text()
    if section:
        text = re.split(r"^## ", text.partition(f"## {section}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    assert text, f"{page} has no section {section!r}"
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_compiles_and_imports_what_there_is(code: str) -> None:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("django_loco"):
            module = importlib.import_module(node.module or "")
            for name in node.names:
                if not hasattr(module, name.name):
                    importlib.import_module(f"{node.module}.{name.name}")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_paths_lead_to_what_there_is(page: Path) -> None:
    for path in set(re.findall(r"(?<![\w./])django_loco(?:\.[A-Za-z_]+)+", page.read_text())):
        assert _exists(path) or path in NO_MODULES, f"{name_of(page)} names {path}"


def _exists(path: str) -> bool:
    try:
        importlib.import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        return bool(module) and _exists(module) and hasattr(importlib.import_module(module), name)
    return True


@pytest.mark.parametrize("module", ["jobs", "locks", "scheduler", "shutdown", "tasks", "testing", "workflows"])
def test_each_public_name_is_on_a_page(module: str) -> None:
    text = "".join(page.read_text() for page in sorted(DOCS.rglob("*.md")))
    names = importlib.import_module(f"django_loco.{module}").__all__
    assert [name for name in names if not re.search(rf"\b{name}\b", text)] == []


@pytest.mark.parametrize("code", blocks("python"))
def test_settings_and_options_in_examples_exist(code: str) -> None:
    known = {field.name for field in fields(LocoSettings)}
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Assign(targets=[ast.Name(id="LOCO")], value=ast.Dict(keys=keys)):
                assert {key.value for key in keys if isinstance(key, ast.Constant)} <= known
            case ast.Call(func=ast.Name(id="task"), keywords=options):
                assert {option.arg for option in options} <= set(TASK_OPTIONS)
            case ast.Call(func=ast.Attribute(attr="using"), keywords=options):
                assert {option.arg for option in options} <= set(CALL_OPTIONS)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="scheduler"), attr=call), keywords=options):
                parameters = set(inspect.signature(getattr(scheduler, call)).parameters)
                assert {option.arg for option in options} <= parameters | set(options_of(ZonedOptions))


def settings_of(page: Path) -> Iterator[Any]:
    """Yield the values of ``LOCO`` in a page, in blocks and in lines."""
    fence = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
    examples = [code for language, code in fence.findall(page.read_text()) if language == "python"]
    for code in (*examples, *words(fence.sub("", page.read_text()))):
        if "LOCO = {" not in code:
            continue
        for node in ast.parse(re.sub(r'os\.environ\["(\w+)"\]', r'"\1-from-elsewhere"', code)).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LOCO":
                yield ast.literal_eval(node.value)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_settings_in_examples_are_right(page: Path) -> None:
    for value in settings_of(page):
        with override_settings(LOCO=value):
            assert problems() == []


def commands_in(page: Path) -> Iterator[list[str]]:
    """Yield the command lines of django-loco in a page, and those of ``check``, without what is for gunicorn."""
    for line in re.findall(r"manage\.py ((?:loco_|check\b)[^`#\n]*)", page.read_text()):
        if "[" not in line:
            yield ["7" if word == "N" else word for word in shlex.split(line.partition(" -- ")[0])]


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=name_of)
def test_commands_in_examples_are_right(page: Path) -> None:
    for name, *arguments in commands_in(page):
        load_command_class(str(get_commands()[name]), name).create_parser("manage.py", name).parse_args(arguments)


@pytest.mark.parametrize("page", sorted({*DOCS.rglob("*.md")} - {DOCS / "index.md"}), ids=name_of)
def test_a_page_begins_with_what_the_reader_can_do_after_it(page: Path) -> None:
    title, first = page.read_text().split("\n\n", 2)[:2]
    assert re.fullmatch(r"# \S.*", title)
    assert first.startswith("After this page "), f"{name_of(page)} begins with {first[:60]!r}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{name_of(page)} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_all_pages_are_in_the_table_of_contents() -> None:
    contents = re.findall(r"- (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(contents) == [str(path.relative_to(DOCS)) for path in sorted(DOCS.rglob("*.md"))]
    index = (DOCS / "index.md").read_text()
    assert [page for page in contents if page != "index.md" and f"]({page})" not in index] == []


def test_the_reference_of_settings_is_complete() -> None:
    told = {words(name)[0]: default for name, _, default, _ in rows("reference/settings.md", "`LOCO`")}
    defaults = {field.name: getattr(LocoSettings(), field.name) for field in fields(LocoSettings)}
    assert told == {name: "`{}`".format(f'"{v}"' if isinstance(v, str) else v) for name, v in defaults.items()}


def test_the_reference_of_exceptions_is_complete() -> None:
    own = [e for e in vars(exceptions).values() if isinstance(e, type) and e.__module__ == exceptions.__name__]
    told = {words(row[0])[0]: row for row in rows("reference/exceptions.md")}
    assert {*told} == {error.__name__ for error in own} - {"LocoError"}
    for error in own:
        bases = {base.__name__ for base in error.__bases__} - {"LocoError", "Exception"}
        assert bases <= set(words(" ".join(told.get(error.__name__, []))))


def test_the_reference_of_jobs_is_complete() -> None:
    told = [row[0] for row in rows("reference/jobs.md")]
    assert sorted(word.partition("(")[0] for cell in told for word in words(cell)) == sorted(jobs.__all__)
    for name, given in (call for cell in told for call in re.findall(r"`(\w+)\((.*)\)`", cell)):
        assert signature(eval(f"lambda {given}: 0")) == signature(getattr(jobs, name)), name  # noqa: S307 - our page


def signature(function: Callable[..., object]) -> list[tuple[object, ...]]:
    """Return the kind, name and default of each parameter; ``...`` stands for an object that pages cannot show."""
    return [
        (
            each.kind,
            each.kind is each.POSITIONAL_ONLY or each.name,
            ... if type(each.default) is object else each.default,
        )
        for each in inspect.signature(function).parameters.values()
    ]


def test_the_reference_of_filters_is_complete() -> None:
    told = [words(row[0])[0].partition(":")[0].partition(".")[0] for row in rows("reference/filters.md", "Words")]
    assert told == list(WORDS)
    assert [words(row[0])[0] for row in rows("reference/filters.md", "States")] == list(STATES)
    examples = [words(row[-1]) for row in rows("reference/filters.md", "Words")]
    examples += [words(row[0]) for row in rows("reference/filters.md", "Values in arguments and metadata")]
    assert len(examples) > len(WORDS)
    assert all(len(filter_of(example, {}).conditions) == 1 for cell in examples for example in cell)


def test_the_reference_of_schedules_is_complete() -> None:
    found = rows("reference/schedules.md")
    told = [row[0] for row in found]
    calls = {words(row)[0].partition("(")[0]: row for row in told if "(" in row}
    functions = {name for name in scheduler.__all__ if inspect.ismethod(getattr(scheduler, name))}
    assert set(calls) == functions - {"expose"}
    for call, row in calls.items():
        parameters = [name for name in inspect.signature(getattr(scheduler, call)).parameters if name != "options"]
        assert all(re.search(rf"\b{name}\b", row) for name in parameters), call
    options = options_of(ZonedOptions) | OF_DATA
    written = [(words(row[0])[0], row[1]) for row in found if "(" not in row[0]]
    assert written == [(name, option.help) for name, option in options.items()]


@pytest.mark.parametrize(
    "command", ["loco_start", "loco_worker", "loco_scheduler", "loco_status", "loco_doctor", "loco_import"]
)
def test_the_reference_of_commands_is_complete(command: str) -> None:
    parser = load_command_class("django_loco", command).create_parser("manage.py", command)
    actions: list[argparse.Action] = parser._actions
    flags = {flag for action in actions for flag in action.option_strings or [action.dest]} - OF_DJANGO
    told = {word.split()[0] for row in rows("reference/commands.md", f"`{command}`") for word in words(row[0])}
    # Django's runserver has the flags of staticfiles only where that is installed, as the tests' site has it not.
    assert told - {"--nostatic", "--insecure"} == flags - {"--nostatic", "--insecure"}


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from parsers(each)


@pytest.mark.parametrize(
    "command", ["loco_worker", "loco_scheduler", "loco_status", "loco_doctor", "loco_import", "loco_jobs"]
)
def test_help_names_what_a_flag_takes(command: str) -> None:
    for parser in parsers(load_command_class("django_loco", command).create_parser("manage.py", command)):
        for action in parser._actions:
            if action.option_strings and action.nargs != 0 and OF_DJANGO.isdisjoint(action.option_strings):
                assert action.metavar or action.choices, f"{parser.prog}: {action.option_strings}"
            if "--backend" in action.option_strings:
                assert action.metavar == "ALIAS", parser.prog


def test_the_page_about_queues_has_each_method_to_write() -> None:
    assert sorted(name for row in rows("how-to/queues.md") for name in words(row[0])) == sorted(
        Queue.__abstractmethods__
    )


def test_the_reference_of_checks_is_complete() -> None:
    source = "".join(Path(inspect.getfile(module)).read_text() for module in (checks, redis_check))
    assert {words(row[0])[0] for row in rows("reference/checks.md")} == set(re.findall(r"loco\.[EWI]\d{3}", source))
