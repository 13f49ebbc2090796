"""A schedule that is edited in the admin, and the process that runs the site, its jobs and its schedules."""

from __future__ import annotations

import time

from django_loco.shutdown import CLEAN

from ..project import Project
from .admin_site import LIST, Person, with_admin

#: Within so many seconds a scheduler that runs has to follow what was changed.
AT_MOST_SECONDS = 15.0


def test_what_is_edited_in_the_admin_changes_the_next_firing_without_a_restart(project: Project) -> None:
    with_admin(project)
    for gate in ("first", "second", "nightly"):
        project.open_gate(gate)
    process = project.serve("--worker", "--scheduler", "--noreload")
    person = Person(project)

    began = time.monotonic()
    saved = person.fill(f"{LIST}add/", name="live", run_0="pages.tasks.work", args='["first"]', schedule="every second")
    assert "was added successfully" in saved
    process.wait_for("job first ends")
    added = time.monotonic() - began

    began = time.monotonic()
    assert "was changed successfully" in person.fill(f"{LIST}1/change/", args='["second"]', schedule="* * * * * *")
    process.wait_for("job second begins")
    changed = time.monotonic() - began
    process.wait_for("job second begins", count=3)
    lines = [line for line in process.lines if " begins" in line]
    assert "job first" not in " ".join(lines[lines.index("job second begins") + 1 :])

    assert "runs now." in person.fill(f"{LIST}all/", run="nightly")
    process.wait_for("job nightly ends")
    assert "paused." in person.fill(f"{LIST}all/", pause="live")
    assert process.terminate() == CLEAN
    print(f"a new schedule ran {added:.1f} s after it was saved, a changed one {changed:.1f} s")
    assert max(added, changed) < AT_MOST_SECONDS
