"""The picture of a workflow."""

from __future__ import annotations

import re

from django_loco.dashboard.pages.workflows.graph import MOST, Box, graph


def box(name, after=(), **given):
    return Box(
        **{"id": name, "name": name, "state": "done", "state_text": "done", "url": f"/{name}/", "after": after} | given
    )


def test_boxes_link_to_jobs_and_arrows_lead_to_those_that_wait():
    drawn = graph([box("a"), box("b", ["a"]), box("c", ["a", "gone"], url="")], "Nodes")
    assert re.findall(r'<a class="node done" id="box-\w+" href="([^"]*)"', drawn) == ["/a/", "/b/"]
    assert drawn.count('class="arrow"') == drawn.count('class="head"') == 2
    assert 'aria-label="Nodes"' in drawn


def test_an_arrow_passes_between_the_boxes_of_a_column():
    drawn = graph([box("a"), box("b", ["a"]), box("c", ["b", "a"])], "Nodes")
    lines = re.findall(r'class="arrow" d="([^"]*)"', drawn)
    assert [line.count("C") for line in lines] == [1, 1, 2]
    assert [line.count("H") for line in lines] == [0, 0, 1]


def test_nothing_needs_a_style_and_texts_are_escaped():
    drawn = graph([box('"><script>', state_text="<b>")], '"><i>')
    assert not re.search(r"<script|<b>|<i>|style=", drawn)


def test_a_long_name_is_cut_in_the_box_and_whole_in_its_title():
    name = "n" * 100
    drawn = graph([box(name)], "Nodes")
    assert f"<title>{name}: done</title>" in drawn
    assert f">{'n' * (MOST - 1)}…</text>" in drawn


def test_no_nodes():
    assert graph([], "Nodes").startswith('<svg class="graph"')
