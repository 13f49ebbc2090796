"""Which deploy it is, as each of its replicas sees it."""

import os
import shutil
from importlib import metadata
from pathlib import Path

import pytest
from django.apps import AppConfig, apps
from django.test import override_settings

from django_loco.scheduler.dispatch.deploy import deploy_id, fingerprint


@pytest.fixture
def deploy(tmp_path, monkeypatch):
    """Makes the fingerprint of an app in a folder."""
    monkeypatch.setattr("sys.modules", {})

    def make(folder):
        app = AppConfig.__new__(AppConfig)
        app.name, app.path = "shop", str(folder)
        monkeypatch.setattr(apps, "get_app_configs", lambda: [app])
        return fingerprint()

    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/tasks.py").write_text("one = 1")
    return make


def test_a_deploy_has_the_name_that_it_is_given():
    with override_settings(LOCO={"RELEASE": "2026.11"}):
        assert deploy_id() == "2026.11"
    assert deploy_id() == fingerprint()


def test_the_same_code_in_another_place_is_the_same_deploy(deploy, tmp_path):
    shutil.copytree(tmp_path / "shop", tmp_path / "elsewhere/shop")
    assert deploy(tmp_path / "shop") == deploy(tmp_path / "elsewhere/shop")


@pytest.mark.parametrize(("path", "text"), [("tasks.py", "one = 2"), ("new.py", ""), ("inner/new.py", "")])
def test_other_code_is_another_deploy(deploy, tmp_path, path, text):
    before = deploy(tmp_path / "shop")
    (tmp_path / "shop" / path).parent.mkdir(exist_ok=True)
    (tmp_path / "shop" / path).write_text(text)
    assert deploy(tmp_path / "shop") != before


@pytest.mark.parametrize("path", ["data.csv", ".venv/new.py", "venv/site-packages/new.py", "node_modules/new.py"])
def test_what_is_not_the_projects_code_is_not(deploy, tmp_path, path):
    before = deploy(tmp_path / "shop")
    (tmp_path / "shop" / path).parent.mkdir(exist_ok=True, parents=True)
    (tmp_path / "shop" / path).write_text("two = 2")
    assert deploy(tmp_path / "shop") == before


def test_another_version_of_what_is_installed_is_another_deploy(deploy, tmp_path, monkeypatch):
    before = deploy(tmp_path / "shop")
    monkeypatch.setattr(metadata, "distributions", list)
    assert deploy(tmp_path / "shop") != before


def test_a_damaged_installation_is_no_obstacle(deploy, tmp_path, monkeypatch):
    folder = tmp_path / "site-packages/broken-1.0.dist-info"
    folder.mkdir(parents=True)
    monkeypatch.setattr(metadata, "distributions", lambda: [metadata.PathDistribution(folder)])
    assert deploy(tmp_path / "shop") == deploy(tmp_path / "shop")


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.symlink_to("nothing"),
        lambda path: path.mkdir(),
        os.mkfifo,
        lambda path: path.with_name(os.fsdecode(b"\xff.py")).touch(),
    ],
    ids=["broken link", "folder", "pipe", "undecodable name"],
)
def test_what_is_no_readable_file_is_known_by_its_name(deploy, tmp_path, make):
    before = deploy(tmp_path / "shop")
    make(tmp_path / "shop/odd.py")
    assert deploy(tmp_path / "shop") == deploy(tmp_path / "shop") != before


def test_a_file_that_may_not_be_read_is_known_by_its_name(deploy, tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert deploy(tmp_path / "shop") == deploy(tmp_path / "shop")
