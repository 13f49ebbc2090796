from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from django_loco.management.doctor import servers
from django_loco.management.doctor.finding import Finding
from django_loco.management.doctor.options import Options
from django_loco.management.doctor.registry import PROJECT_CHECKS

GUNICORN = next(check for check in PROJECT_CHECKS if check.id == "servers.gunicorn")


class FakeSite:
    def __init__(self, **options: Any) -> None:
        self.options = Options(**options)


def gunicorn(**options: Any) -> list[Finding]:
    site: Any = FakeSite(**options)
    return [*servers.gunicorn(site)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GUNICORN_CMD_ARGS", raising=False)
    settings.BASE_DIR = tmp_path / "site"
    (tmp_path / "site").mkdir()
    return tmp_path


def test_without_gunicorn_there_is_nothing_to_look_at():
    site: Any = FakeSite()
    assert not GUNICORN.when(site)
    assert gunicorn() == []


@pytest.mark.parametrize("place", ["gunicorn.conf.py", "site/gunicorn.conf.py"])
def test_a_timeout_that_is_too_short(folder: Path, place: str):
    (folder / place).write_text("workers = 2\ngraceful_timeout = 10\n")
    site: Any = FakeSite()
    assert GUNICORN.when(site)
    [finding] = gunicorn()
    assert finding.level == "warning"
    assert "10 s after the signal" in finding.text
    assert "SHUTDOWN_TIMEOUT is 25 s" in finding.text
    assert finding.remedy == "Set graceful_timeout to 30, or LOCO['SHUTDOWN_TIMEOUT'] to less."


@pytest.mark.parametrize("text", ["", "graceful_timeout = 25", "graceful_timeout = 40.5\nimport nowhere"])
def test_a_timeout_that_is_long_enough(folder: Path, text: str):
    """The file is not run."""
    (folder / "own.py").write_text(text)
    assert gunicorn(gunicorn_config=folder / "own.py") == []


def test_the_default_of_gunicorn(folder: Path, settings: Any):
    settings.LOCO = {"SHUTDOWN_TIMEOUT": 60}
    (folder / "own.py").write_text("workers = 2")
    [finding] = gunicorn(gunicorn_config=folder / "own.py")
    assert "30 s after the signal" in finding.text


@pytest.mark.parametrize("text", ["graceful_timeout = int('40')", "graceful_timeout = (", "graceful_timeout = None"])
def test_a_timeout_that_cannot_be_read(folder: Path, text: str):
    (folder / "own.py").write_text(text)
    [finding] = gunicorn(gunicorn_config=folder / "own.py")
    assert (finding.level, finding.id) == ("info", "servers.gunicorn")


def test_a_file_that_is_not_there(folder: Path):
    [finding] = gunicorn(gunicorn_config=folder / "none.py")
    assert "none.py" in finding.text


def test_a_file_without_an_end_is_not_read():
    [finding] = gunicorn(gunicorn_config=Path("/dev/zero"))
    assert "/dev/zero is no file of 1,048,576 bytes at most" in finding.text


@pytest.mark.parametrize(("arguments", "count"), [("--graceful-timeout 5 -w 3", 1), ("--graceful-timeout=50", 0)])
def test_the_environment(monkeypatch: pytest.MonkeyPatch, arguments: str, count: int):
    monkeypatch.setenv("GUNICORN_CMD_ARGS", arguments)
    found = gunicorn()
    assert ["GUNICORN_CMD_ARGS" in finding.text for finding in found] == [True] * count


def test_limits_that_cannot_be_seen():
    site: Any = FakeSite(production=True)
    [finding] = servers.stop_time(site)
    assert (finding.level, "at least 31 s" in finding.remedy) == ("info", True)
    assert [*servers.stop_time(FakeSite())] == []  # type: ignore[arg-type]
