import re

REQUESTS, VISITORS, WORKERS = 150, 2, 4


def test_workers_and_a_busy_site_never_find_the_database_locked(site):
    def start(call):
        code = f"from tests.integration.queues.stress import visit, work; {call}"
        return site.start("shell", "--verbosity", "0", "--command", code)

    visitors = [start(f"visit({REQUESTS})") for _ in range(VISITORS)]
    workers = [start(f"work({REQUESTS * VISITORS})") for _ in range(WORKERS)]
    for process in visitors + workers:
        assert process.wait(55) == 0, process.output
    ended = [number for worker in workers for number in re.findall(r"ended (\d+)", worker.output)]
    assert sum(map(int, ended)) == REQUESTS * VISITORS
    assert site.query("SELECT status, count(*) FROM django_loco_job GROUP BY status") == [
        ("SUCCESSFUL", REQUESTS * VISITORS)
    ]
