"""Reads the file of schedules, ``LOCO["SCHEDULE_FILE"]``, in YAML or TOML.

    timezone: Europe/Berlin          # for all jobs that have none
    jobs:
      write_content:
        run: shop.tasks.sync
        schedule: every 15 minutes

loco-rs's ``scheduler.yaml`` has this form.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

from django.conf import settings

from ...core.validation import did_you_mean
from ...exceptions import LocoConfigurationError

#: The keys that apply to all jobs of the file that do not set them.
COMMON = ("output", "timezone")
SETTING = "LOCO['SCHEDULE_FILE']"


def read_file(name: str | Path) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """Return the schedules by name, as written, and their common keys.

    Raises ``LocoConfigurationError``, which names the file.
    """
    path = Path(getattr(settings, "BASE_DIR", ""), name)
    try:
        return _jobs(_parsed(path))
    except LocoConfigurationError as error:
        raise LocoConfigurationError(f"{SETTING}, {path}: {error}") from error
    except OSError as error:
        raise LocoConfigurationError(f"{SETTING}, {path}, cannot be read: {error.strerror}.") from error
    except Exception as error:
        raise LocoConfigurationError(f"{SETTING}, {path}, cannot be understood: {error}") from error


def _parsed(path: Path) -> object:
    readers: dict[str, Callable[[str], object]] = {".toml": tomllib.loads, ".yaml": _load_yaml, ".yml": _load_yaml}
    if path.suffix not in readers:
        raise LocoConfigurationError(
            f"it must be a .toml or .yaml file, not {path.suffix or 'one without an extension'}."
        )
    return readers[path.suffix](path.read_text(encoding="utf-8"))


def _jobs(content: object) -> tuple[Mapping[str, object], Mapping[str, object]]:
    if isinstance(content, Mapping) and list(content) == ["scheduler"]:
        content = content["scheduler"]
    if not isinstance(content, Mapping) or not isinstance(content.get("jobs"), Mapping):
        raise LocoConfigurationError("it must have the key jobs, with the jobs by name.")
    for key in content:
        if key not in ("jobs", *COMMON):
            raise LocoConfigurationError(f"{key!r} is unknown.{did_you_mean(str(key), ('jobs', *COMMON))}")
    return content["jobs"], {key: content[key] for key in COMMON if key in content}


def _load_yaml(text: str) -> object:
    try:
        from .yaml_text import load  # noqa: PLC0415 - PyYAML is an extra, and few projects use it
    except ImportError:
        raise LocoConfigurationError('YAML needs PyYAML: pip install "django-loco[yaml]".') from None
    return load(text)
