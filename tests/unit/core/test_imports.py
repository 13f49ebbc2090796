import os
import sys

import pytest
from django.apps import apps
from django.test import override_settings
from django.utils import autoreload

from django_loco.core import imports


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder in ``sys.path``, in a process that Django's autoreloader restarts."""
    monkeypatch.setenv(autoreload.DJANGO_AUTORELOAD_ENV, "true")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(imports, "_files", set())
    monkeypatch.setattr(imports, "_reloader", None)
    (tmp_path / "hello").mkdir()
    (tmp_path / "hello/__init__.py").touch()
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] in ("hello", "beside")]:
        del sys.modules[name]


class Reloader(autoreload.StatReloader):
    SLEEP_TIME = 0

    def __init__(self):
        super().__init__()
        self.changed = []
        self.ticker = self.tick()

    def notify_file_changed(self, path):
        self.changed.append(path)

    def look(self):
        """Return the files that have changed since it last looked."""
        self.changed.clear()
        next(self.ticker)
        return self.changed


@pytest.fixture
def reloader():
    """A reloader that has been started."""
    reloader = Reloader()
    autoreload.autoreload_started.send(sender=reloader)
    return reloader


def write(path, text):
    """Write a file later than all others so far."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    os.utime(path, (4e9, 4e9))


@pytest.mark.parametrize("text", ["1 / 0", "def broken(:", "from .tasks import no_such_name", "import no_such_module"])
@pytest.mark.parametrize("load", [imports.import_module, lambda name: imports.import_string(f"{name}.tick")])
def test_the_repair_of_a_module_that_could_not_be_imported_is_a_change(folder, reloader, text, load):
    (folder / "hello/tasks.py").touch()
    (folder / "hello/schedules.py").write_text(text)
    with pytest.raises((ImportError, ZeroDivisionError, SyntaxError)):
        load("hello.schedules")
    assert reloader.look() == []
    write(folder / "hello/schedules.py", "tick = 1")
    assert reloader.look() == [folder / "hello/schedules.py"]


def test_so_is_that_of_the_module_in_which_the_error_arose(folder, reloader):
    (folder / "beside.py").write_text("def broken(:")
    (folder / "hello/schedules.py").write_text("import beside")
    with pytest.raises(SyntaxError):
        imports.import_module("hello.schedules")
    reloader.look()
    write(folder / "beside.py", "")
    assert reloader.look() == [folder / "beside.py"]


def test_and_of_an_error_that_was_caught_on_the_way(folder, reloader):
    (folder / "beside.py").write_text("1 / 0")
    (folder / "hello/schedules.py").write_text("try: import beside\nexcept Exception as e: raise LookupError from e")
    with pytest.raises(LookupError):
        imports.import_module("hello.schedules")
    reloader.look()
    write(folder / "beside.py", "")
    assert reloader.look() == [folder / "beside.py"]


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("from .taskss import greet", "hello/taskss.py"),
        ("from . import taskss", "hello/taskss.py"),
        ("import hello.parts.first", "hello/parts"),
        ("import beside", "beside.py"),
        ("import beside", "beside"),
        ("open(__file__ + '.words')", "hello/schedules.py.words"),
    ],
)
def test_the_file_or_folder_that_it_lacked_is_a_change(folder, reloader, text, missing):
    path = folder / missing
    (folder / "hello/schedules.py").write_text(text)
    with pytest.raises((ImportError, OSError)):
        imports.import_module("hello.schedules")
    assert reloader.look() == []
    if path.suffix:
        write(path, "")
    else:
        path.mkdir()
    assert reloader.look() == [path]


def test_modules_that_fail_before_the_reloader_starts(folder):
    with pytest.raises(ImportError):
        imports.import_module("hello.schedules")
    reloader = Reloader()
    autoreload.autoreload_started.send(sender=reloader)
    reloader.look()
    write(folder / "hello/schedules.py", "")
    assert reloader.look() == [folder / "hello/schedules.py"]


def test_a_module_that_an_app_lacks(folder, reloader):
    with override_settings(INSTALLED_APPS=["hello"]):
        assert [*imports.modules_of_apps("schedules")] == []
        reloader.look()
        write(folder / "hello/schedules.py", "")
        assert reloader.look() == [folder / "hello/schedules.py"]
        assert apps.is_installed("hello")
        assert [*imports.modules_of_apps("schedules")] == ["hello.schedules"]


def test_a_file_that_is_deleted_and_written_again_is_a_change(folder, reloader):
    broken = folder / "hello/schedules.py"
    broken.write_text("1 / 0")
    with pytest.raises(ZeroDivisionError):
        imports.import_module("hello.schedules")
    reloader.look()
    broken.unlink()
    assert reloader.look() == []
    write(broken, "")
    assert reloader.look() == [broken]


def test_nothing_is_remembered_without_a_reloader(folder, monkeypatch):
    monkeypatch.delenv(autoreload.DJANGO_AUTORELOAD_ENV)
    with pytest.raises(ImportError):
        imports.import_module("hello.schedules")
    with override_settings(INSTALLED_APPS=["hello"]):
        assert [*imports.modules_of_apps("schedules")] == []
    assert imports._files == set()


def test_a_module_that_exits_is_watched_too(folder, reloader):
    (folder / "hello/tasks.py").write_text("raise SystemExit")
    with pytest.raises(SystemExit):
        imports.import_module("hello.tasks")
    reloader.look()
    write(folder / "hello/tasks.py", "")
    assert reloader.look() == [folder / "hello/tasks.py"]
