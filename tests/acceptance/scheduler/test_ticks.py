"""A few seconds of ticks while schedulers are killed. ``make ticks`` has a minute of them on each store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.acceptance.ticks_sites import Sites
from tests.acceptance.ticks_trials import Served, Trial
from tests.processes import free_port

pytestmark = pytest.mark.storm


def test_each_tick_is_fired_once_whoever_is_killed(tmp_path, migrated_file, capsys):
    free_port()  # before there are threads that want one
    with Sites(tmp_path, migrated_file) as sites, ThreadPoolExecutor(2) as pool:
        trials = [Trial("sqlite", partial(sites.make, "sqlite"), 2), Served("memory, gunicorn", sites.served, 2)]
        tolls = list(pool.map(lambda trial: trial.run(seconds=5, every=2), trials))
    with capsys.disabled():
        print("\n" + "\n".join([tolls[0].head(), *(toll.row() for toll in tolls)]))
    for toll in tolls:
        assert (toll.missed, toll.twice) == (0, 0), toll
        assert (toll.kills, toll.ticks >= 3) == (2, True), toll
