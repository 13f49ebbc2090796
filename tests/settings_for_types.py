"""Settings for mypy's Django plugin: the settings and apps of the example and of the tests together."""

# ruff: noqa: F403
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "testproject"))

from testproject.settings import *

from testproject import settings as example

from . import settings as own
from .settings import *

INSTALLED_APPS = list(dict.fromkeys([*example.INSTALLED_APPS, *own.INSTALLED_APPS]))
DATABASES = own.DATABASES
