"""What another local user may have put on the disk is neither read nor waited for."""

import json
import os
import stat
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from django_loco.core.job import Job
from django_loco.queues.memory import spool
from django_loco.queues.memory.key_file import OnceKeys
from django_loco.queues.memory.private_files import NotPrivate, make_folder, require_file, require_folder
from django_loco.queues.rows import COLUMNS

NOBODY = 65534

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has other rights")
as_root = pytest.mark.skipif(getattr(os, "geteuid", int)() != 0, reason="only root can be two users")


@pytest.fixture
def shared():
    """A folder in which anybody may put things, as in the machine's folder for temporary files."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o1777)
        yield Path(name)


@pytest.fixture
def loose(monkeypatch):
    """A process whose files are open to all unless it says otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


def as_nobody(code, *args):
    """Run ``code`` as another user of this machine."""
    # Not preexec_fn: the other user may not even be able to read the interpreter's folder.
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            code(*args)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


def kept(folder, **given):
    spool.write_spool(folder, "default", [Job(task_path="a.b", backend="default", **given)])
    [path] = folder.glob("*.jobs")
    return path


def read(folder):
    taken = []
    spool.read_spool(folder, "default", lambda jobs, _logs: taken.extend(jobs))
    return taken


@pytest.mark.usefixtures("loose")
def test_what_is_made_is_for_its_owner_alone(tmp_path):
    folder = tmp_path / "a" / "b"
    path = kept(folder)
    keys = OnceKeys(folder / "keys", 3600)
    keys.reserve(["a"])
    assert [mode(each) for each in (tmp_path / "a", folder, path, keys.path)] == [0o700, 0o700, 0o600, 0o600]
    keys.reserve(["b"])
    assert keys.reserve(["a", "b", "c"]) == {"c"}


def test_a_folder_that_is_open_to_others_is_closed(tmp_path):
    path = kept(tmp_path / "folder")
    path.parent.chmod(0o777)
    assert len(read(path.parent)) == 1
    assert mode(path.parent) == 0o700


def test_a_file_that_others_may_have_written_is_left_there(tmp_path, caplog):
    path = kept(tmp_path)
    path.chmod(0o664)
    assert read(tmp_path) == []
    assert "chmod 600" in caplog.text
    path.chmod(0o644)
    assert len(read(tmp_path)) == 1


def test_a_link_to_a_file_is_not_followed(tmp_path, caplog):
    path = kept(tmp_path)
    elsewhere = path.rename(tmp_path / "elsewhere")
    path.symlink_to(elsewhere)
    assert read(tmp_path) == []
    assert elsewhere.exists()
    assert "may not read" in caplog.text


def test_a_second_name_of_a_file_is_not_read(tmp_path, caplog):
    path = kept(tmp_path)
    os.link(path, tmp_path / "elsewhere")
    assert read(tmp_path) == []
    assert "second name" in caplog.text


@pytest.mark.timeout(10)
def test_a_pipe_holds_nobody_up(tmp_path, caplog):
    path = kept(tmp_path)
    path.unlink()
    os.mkfifo(path, 0o600)
    assert read(tmp_path) == []
    assert "a pipe" in caplog.text


@pytest.mark.timeout(10)
@pytest.mark.parametrize("name", ["keys", "keys-journal"])
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("elsewhere"), Path.mkdir])
def test_keys_are_kept_in_a_plain_file_or_not_at_all(tmp_path, caplog, name, make):
    make(tmp_path / name)
    keys = OnceKeys(tmp_path / "keys", 3600)
    assert keys.reserve(["a"]) == keys.reserve(["a"]) == {"a"}
    assert not keys.works
    assert caplog.text.count("cannot be used") == 1
    assert not (tmp_path / "elsewhere").exists()


def test_a_journal_that_another_process_removes_is_just_gone(tmp_path, monkeypatch):
    journal = tmp_path / "keys-journal"
    journal.touch()
    look = Path.lstat

    def too_late(path):
        path.unlink(missing_ok=True)
        return look(path)

    monkeypatch.setattr(Path, "lstat", too_late)
    assert require_file(journal) is False


def test_a_link_to_a_folder_is_not_followed(tmp_path, caplog):
    kept(tmp_path / "folder")
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    assert read(tmp_path / "link") == []
    assert "OPTIONS['spool']" in caplog.text
    with pytest.raises(NotPrivate, match="a link"):
        kept(tmp_path / "link")


@as_root
def test_the_file_of_another_user_is_not_read(shared, caplog):
    path = kept(shared / "mine")
    os.chown(path, NOBODY, NOBODY)
    assert read(path.parent) == []
    assert "belongs to the user 65534" in caplog.text


@as_root
def test_the_folder_of_another_user_is_not_used(shared, caplog):
    folder = shared / "django-loco-0" / "project"
    as_nobody(lambda: (folder.parent.mkdir(0o777), folder.mkdir(0o777)))
    assert read(folder) == []
    with pytest.raises(NotPrivate, match="belongs to"):
        kept(folder)
    keys = OnceKeys(folder / "keys", 3600)
    assert not keys.works
    assert list(folder.iterdir()) == []


@as_root
def test_a_folder_within_that_of_another_user_is_not_used(shared):
    """Its owner could put another one in its place."""
    folder = shared / "django-loco-0" / "project"
    as_nobody(lambda: (folder.parent.mkdir(), folder.parent.chmod(0o777)))
    with pytest.raises(NotPrivate, match="belongs to another user"):
        make_folder(folder)


@as_root
def test_a_link_that_another_user_has_put_there_is_not_followed(shared, tmp_path):
    kept(tmp_path / "mine" / "default")
    as_nobody(lambda: (shared / "django-loco-0").symlink_to(tmp_path / "mine"))
    with pytest.raises(NotPrivate):
        require_folder(shared / "django-loco-0" / "default")


@as_root
def test_a_user_beside_root_has_folders_of_his_own(shared):
    def own():
        path = kept(shared / "django-loco-65534" / "project")
        assert len(read(path.parent)) == 1

    as_nobody(own)
    with pytest.raises(NotPrivate):
        kept(shared / "django-loco-65534" / "project")


@pytest.mark.slow
@as_root
def test_a_site_takes_no_jobs_from_another_user_and_says_why(shared, tmp_path):
    """All of it: the default folder, guessed by another user, with a job that he would like to have run."""
    tmp_path.joinpath("jobs.py").write_text(
        "from django_loco.tasks import task\n@task\ndef touch(path): open(path, 'w')\n"
    )
    tmp_path.joinpath("site_settings.py").write_text("SECRET_KEY = 'x'\nINSTALLED_APPS = ['django_loco']\n" + BACKEND)
    env = {
        **os.environ,
        "TMPDIR": str(shared),
        "DJANGO_SETTINGS_MODULE": "site_settings",
        "PYTHONPATH": paths(tmp_path),
    }
    folder = Path(site("print(folder_for('default'))", env).strip())
    assert shared in folder.parents
    row = {**dict.fromkeys(COLUMNS), **ROW, "arguments": json.dumps([[str(tmp_path / "run")], {}])}

    def plant():
        folder.mkdir(parents=True, mode=0o777)
        folder.joinpath(f"{'0' * 32}-default.jobs").write_text(json.dumps(row))

    as_nobody(plant)
    told = site(ENQUEUE_AND_WAIT, env, cwd=tmp_path)
    assert (tmp_path / "run-mine").exists()
    assert not (tmp_path / "run").exists()
    assert told.count("OPTIONS['spool']") == 1


ENQUEUE_AND_WAIT = """
    import jobs, pathlib, time
    jobs.touch.enqueue("run-mine")
    deadline = time.monotonic() + 20
    while not pathlib.Path("run-mine").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
"""
BACKEND = "TASKS = {'default': {'BACKEND': 'django_loco.backend.LocoBackend'}}\n"
ROW = {
    "id": "0" * 32,
    "backend": "default",
    "task_path": "jobs.touch",
    "queue_name": "default",
    "priority": 0,
    "is_async": False,
    "enqueued_at": "2026-01-01 00:00:00.000000",
    "tags": "[]",
    "options": "{}",
    "status": "READY",
    "worker_ids": "[]",
    "errors": "[]",
    "lost": 0,
}


def paths(*more):
    return os.pathsep.join([*map(str, more), str(Path(__file__).parents[4])])


def site(code, env, cwd=None):
    start = "import django; django.setup()\nfrom django_loco.queues.memory.spool import folder_for\n"
    command = [sys.executable, "-c", start + textwrap.dedent(code)]
    process = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, timeout=30, check=True)
    return process.stdout + process.stderr
