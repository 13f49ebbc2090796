"""A watch announces what was written since it was last asked, and nothing else."""

import errno
import selectors
import sys

import pytest

from django_loco.queues.database.sqlite import file_watch
from django_loco.queues.database.sqlite.file_watch import FileWatch

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has inotify")


def is_readable(watch):
    with selectors.DefaultSelector() as selector:
        selector.register(watch, selectors.EVENT_READ)
        return bool(selector.select(0))


@on_linux
def test_it_is_readable_when_the_file_was_written_to(tmp_path):
    path = tmp_path / "jobs-wal"
    path.write_text("a")
    watch = FileWatch(str(path))
    assert not is_readable(watch)
    assert watch.drain() is False
    with path.open("a") as file:
        file.write("b")
    assert is_readable(watch)
    assert [watch.drain(), watch.drain()] == [True, False]
    path.read_text()
    (tmp_path / "other").write_text("c")
    assert not is_readable(watch)
    watch.close()
    watch.close()


def test_a_file_that_does_not_exist_cannot_be_watched(tmp_path):
    with pytest.raises(OSError, match="jobs-wal") as caught:
        FileWatch(str(tmp_path / "jobs-wal"))
    assert caught.value.errno in (errno.ENOENT, errno.ENOSYS)


def test_other_systems_watch_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(file_watch, "_libc", None)
    with pytest.raises(OSError, match="not implemented"):
        FileWatch(str(tmp_path))
