"""``docs/start/failed-job.md``, done as written after ``first-job.md``: files, commands, and what they print."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path

import pytest

from ..processes import ROOT, close_all
from .test_tutorial import Reader
from .test_tutorial import steps as first_steps

pytestmark = pytest.mark.own_database
PAGE = (ROOT / "docs/start/failed-job.md").read_text()
FIRST, SECOND = PAGE.split("## Cancel and pause\n")
#: The ends of ids on the page, and the tasks of these jobs.
SHOWN = {"526df6fb": "add_up", "95b7c21c": "nap"}


def blocks(page: str) -> list[tuple[str, str]]:
    """Return ``(file, text)`` for each file to write and ``("", text)`` for each block of the console, in order."""
    return re.findall(r"^```(?:python title=\"(\S+)\"|console)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def commands_of(text: str) -> list[tuple[str, list[str]]]:
    """Return each command of a console block with the lines that it prints."""
    return [(part.splitlines()[0], part.splitlines()[1:]) for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]]


class Repairer(Reader):
    """Somebody who follows the page, with the ids of their own jobs, which ``loco_jobs list`` shows."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.ends: dict[str, str] = {}

    def address_after(self, path: str) -> str:
        """Return where ``path`` leads somebody without a login."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=20) as response:
            return str(response.url)

    def follow(self, command: str, shown: list[str]) -> None:
        for end, task in SHOWN.items():
            command = command.replace(end, self.ends.get(task, end))
        process = self.run(command)
        if process is self.site:
            assert "/login/?next=/jobs/" in self.address_after("/jobs/")
            return
        process.wait(60)
        listed = re.findall(r"^[0-9a-f]{24}([0-9a-f]{8}) .*\.(\w+) ", process.output, re.MULTILINE)
        self.ends |= {task: end for end, task in listed}
        for line in shown:
            assert re.search(pattern_of(line), process.output), f"{command}\n{line}\n{process.output}"


def pattern_of(line: str) -> str:
    """Return a pattern of a line on the page: ids and numbers differ, and times may be in another unit."""
    pattern = re.sub(r"(?:\\?[0-9a-f]){8,}|\d+(?:\\\.\d+)?", r"[0-9a-f.]+", re.escape(line.strip()))
    return re.sub(r"\\ m?s\b", r"\\ m?s", pattern).replace(r"\.\.\.", ".*")


def repair(tasks: Path) -> None:
    """Correct the mistake, as the page asks for in words."""
    tasks.write_text(tasks.read_text().replace('"prize"', '"price"'))


def begin(reader: Repairer) -> None:
    """Write the project of the first job."""
    for file, text in first_steps():
        if file.endswith(".py"):
            reader.write(file, text)
        elif re.search("startproject|startapp|migrate", text):
            reader.run(text)


@pytest.mark.timeout(170)  # a dozen processes, one after the other
@pytest.mark.parametrize("part", [FIRST, SECOND], ids=["repair", "control"])
def test_a_failed_job_is_repaired_as_the_page_says(tmp_path: Path, part: str) -> None:
    reader = Repairer(tmp_path)
    try:
        begin(reader)
        for file, text in blocks(PAGE if part is SECOND else part):
            if file:
                reader.write(file, text)
        for _, text in blocks(part):
            for command, shown in commands_of(text):
                if "retry" in command or part is SECOND:
                    repair(tmp_path / "hello/tasks.py")
                reader.follow(command, shown)
    finally:
        close_all(reader.processes)


def test_the_page_has_the_commands_that_are_followed() -> None:
    names = [command.split()[2] for file, text in blocks(PAGE) if not file for command, _ in commands_of(text)]
    read = {"loco_worker", "loco_jobs", "loco_status", "loco_doctor"}
    assert {"shell", "test", "createsuperuser", "loco_start", *read} == set(names)


def test_the_page_first_stops_what_the_last_one_has_started() -> None:
    assert "stop both with Ctrl-C" in PAGE.partition("```console")[0]
