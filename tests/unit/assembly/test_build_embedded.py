"""Which components run in servers that others start."""

from __future__ import annotations

import pytest
from django.core.management.base import CommandError

from django_loco.assembly.build_embedded import parse_flags
from django_loco.assembly.run_options import RunOptions


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--no-server", "LOCO_START='--no-server': --no-server is for loco_start"),
        ("8000", "LOCO_START='8000': 8000 is for a server that loco_start starts itself"),
        ("--http gunicorn", "--http is for a server that loco_start starts itself"),
        ("--workers", "LOCO_START='--workers': Error: unrecognized arguments: --workers"),
        ("--worker '", "No closing quotation"),
    ],
)
def test_flags_in_the_environment_that_make_no_sense_are_refused(flags, said):
    with pytest.raises(CommandError, match=said):
        parse_flags(flags)


def test_flags_in_the_environment():
    assert parse_flags("--worker --scheduler") == RunOptions(
        server=True, worker=True, scheduler=True, backends=("default",)
    )
    assert not parse_flags("").worker
