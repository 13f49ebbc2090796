"""No module names a higher layer by a string, of which import-linter sees nothing."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import django_loco

PACKAGE = Path(django_loco.__file__).parent
#: What ``import_string`` takes: a module of ours, and a name in it.
PATH = re.compile(r"django_loco\.(?P<module>[a-z_.]+)\.\w+")


def layers() -> dict[str, int]:
    """Return how far down each part of the package is."""
    settings = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())
    contract = settings["tool"]["importlinter"]["contracts"][0]
    return {name.strip(): depth for depth, layer in enumerate(contract["layers"]) for name in layer.split(":")}


def named_in(source: str) -> Iterator[str]:
    """Yield the modules of ours that ``source`` names by strings, together with something in them; and commands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("load_command_class", "call_command"):
            yield from ("management" for text in map(ast.unparse, node.args) if re.search(r"\bloco_", text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and (match := PATH.fullmatch(node.value)):
            path = PACKAGE / match["module"].replace(".", "/")
            if path.with_suffix(".py").exists() or (path / "__init__.py").exists():
                yield match["module"]


def upwards(part: str, source: str, depths: dict[str, int]) -> list[str]:
    """Return what ``source``, in ``part`` of the package, names above itself."""
    return [name for name in named_in(source) if depths[name.partition(".")[0]] < depths[part]]


@pytest.mark.slow
def test_strings_name_nothing_above():
    depths = layers()
    found = {
        str(file.relative_to(PACKAGE)): names
        for file in PACKAGE.rglob("*.py")
        if (part := file.relative_to(PACKAGE).parts[0].removesuffix(".py")) in depths
        and (names := upwards(part, file.read_text(), depths))
    }
    assert found == {}


def test_one_that_does_is_found():
    source = 'MAKE = "django_loco.assembly.build_embedded.build_runtime"\nlogger = getLogger("django_loco.worker")\n'
    assert upwards("servers", source, layers()) == ["assembly.build_embedded"]
    assert upwards("assembly", 'load_command_class("django_loco", "loco_start")', layers()) != []
    assert upwards("apps", source, layers()) == []
