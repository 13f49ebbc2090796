"""``docs/start/first-job.md`` and the README's first job, done as written: files, commands, and what is seen."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..processes import ROOT, Process, close_all, free_port
from .shop import until

pytestmark = pytest.mark.own_database
PAGE = ROOT / "docs" / "start" / "first-job.md"
README = ROOT / "README.md"


def steps() -> Iterator[tuple[str, str]]:
    """Yield in order ``(file, text)`` to write a file, ``("$", command)``, and ``("^C", "")`` to stop the site."""
    blocks = r"^```(\w+)(?: title=\"(\S+)\")?\n(.*?)^```|^[^`\n]*\bwith (Ctrl-C)"
    for match in re.finditer(blocks, PAGE.read_text(), re.MULTILINE | re.DOTALL):
        language, file, text, stops = match.groups()
        if stops:
            yield "^C", ""
        elif file:
            yield file, text
        elif language == "console":
            yield from (("$", line.removeprefix("$ ")) for line in text.splitlines())


def steps_of_the_readme() -> Iterator[tuple[str, str]]:
    """Yield the same for the first job in the README, without the commands that make an environment."""
    section = README.read_text().partition("## Your first job in a minute\n")[2].partition("\n## ")[0]
    blocks = re.finditer(r"(?:`(\S+\.py)`:\n\n)?^```(\w+)\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    for file, language, text in (block.groups() for block in blocks):
        if file:
            yield file, text
            continue
        lines = [line.removeprefix("$ ") for line in text.splitlines() if language == "sh" or line.startswith("$ ")]
        commands = [command for line in lines for command in line.split(" && ")]
        yield from (("$", command) for command in commands if command.split()[0] in ("python", "django-admin"))


class Reader:
    """Somebody who follows the page."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.site: Process | None = None
        self.waiting = ""
        self.processes: list[Process] = []
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        self.environment.pop("DJANGO_SETTINGS_MODULE", None)

    def write(self, file: str, text: str) -> None:
        with (self.folder / file).open("a" if file.endswith("settings.py") else "w") as opened:
            opened.write(text)

    def run(self, command: str) -> Process:
        words = shlex.split(command.replace("django-admin", "python -m django"))
        if "loco_start" in words:
            words.append(f"127.0.0.1:{self.port}")
        arguments = [sys.executable, *words[1:]]
        code = f"import os; os.chdir({str(self.folder)!r}); os.execv({sys.executable!r}, {arguments!r})"
        process = Process([sys.executable, "-c", code], self.environment)
        self.processes.append(process)
        if "loco_start" in words:
            self.site = process
            process.wait_for(rf"http://127\.0\.0\.1:{self.port}")
        elif not {"loco_worker", "loco_doctor"} & {*words}:
            assert process.wait(60) == 0, process.output
        return process

    def stop_the_site(self) -> None:
        assert self.site
        self.site.signal(signal.SIGINT)
        assert self.site.wait() == 0, self.site.output

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=20) as response:
            return json.load(response)

    def is_greeted(self, path: str) -> bool:
        return bool(self.get(path) == {"status": "SUCCESSFUL", "value": "Hello, Ada!"})

    def see_a_job_run_beside_the_site(self, process: Process) -> None:
        path = self.get("/greet/Ada")["look at"]
        until(lambda: self.is_greeted(path))
        process.wait_for(r"\[worker\].*greet.*done in")

    def see_the_schedule_fire(self, process: Process) -> None:
        process.wait_for(r"\[worker\].*greet.*done in", count=2)

    def see_a_job_wait(self, process: Process) -> None:
        self.waiting = self.get("/greet/Ada")["look at"]
        assert self.get(self.waiting)["status"] == "READY", process.output

    def see_the_worker_run_it(self, process: Process) -> None:
        until(lambda: self.is_greeted(self.waiting))
        assert process.terminate() == 0


#: What the page promises after a command.
SIGHTS = {
    "python manage.py loco_start --worker": Reader.see_a_job_run_beside_the_site,
    "python manage.py loco_start --worker --scheduler": Reader.see_the_schedule_fire,
    "python manage.py loco_start": Reader.see_a_job_wait,
    "python manage.py loco_worker": Reader.see_the_worker_run_it,
}


@pytest.mark.timeout(170)  # a dozen processes, one after the other
def test_the_first_job_is_as_the_page_says(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    try:
        for file, text in steps():
            if file == "^C":
                reader.stop_the_site()
            elif file == "$":
                process = reader.run(text)
                SIGHTS.get(text, lambda *_: None)(reader, process)
            else:
                reader.write(file, text)
        reader.stop_the_site()
    finally:
        close_all(reader.processes)


def test_the_first_job_of_the_readme_is_as_it_says(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    try:
        for file, text in steps_of_the_readme():
            if file == "$":
                reader.run(text)
            else:
                reader.write(file, text)
        worker = reader.processes[-1]
        assert worker.wait() == 0
        worker.wait_for(r"\[worker\] +\[.*\] greet#[0-9a-f]{8}/1 done in .* ms, waited ")
    finally:
        close_all(reader.processes)


def test_the_readme_has_all_steps() -> None:
    found = [*steps_of_the_readme()]
    assert [file for file, _ in found if file != "$"] == ["mysite/settings.py", "hello/tasks.py"]
    assert [text.split()[-1] for file, text in found if file == "$" and "manage.py" in text][-1] == "--drain"


def test_the_page_has_the_commands_that_are_followed() -> None:
    commands = [text for file, text in steps() if file == "$"]
    assert [command for command in commands if command in SIGHTS] == list(SIGHTS)


@pytest.mark.parametrize("file", ["mysite/settings.py", "hello/tasks.py", "hello/views.py", "hello/schedules.py"])
def test_the_page_shows_each_file(file: str) -> None:
    assert file in [name for name, _ in steps()]
