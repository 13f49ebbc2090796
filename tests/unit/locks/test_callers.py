import asyncio

import pytest

from django_loco.exceptions import LockHeld
from django_loco.locks import callers as places

KEY = ("default", "stock:42")


@pytest.fixture(autouse=True)
def forget():
    yield
    places._held.clear()


def test_the_place_is_the_line_outside_of_the_package():
    assert places.here().place.startswith(f"{__file__}:")


def test_a_thread_blocks_itself_and_its_tasks():
    mine = places.here()
    places.note(KEY, mine)
    with pytest.raises(LockHeld):
        places.require_not_held(KEY, places.here(), blocks_thread=False)

    async def inside():
        places.require_not_held(KEY, places.here(), blocks_thread=False)

    with pytest.raises(LockHeld):
        asyncio.run(inside())
    places.require_not_held(("default", "other"), places.here(), blocks_thread=True)
    places.drop(KEY, mine)
    places.require_not_held(KEY, places.here(), blocks_thread=False)
    assert places._held == {}


def test_a_task_blocks_only_itself():
    async def inside():
        places.require_not_held(KEY, places.here(), blocks_thread=False)

    async def main():
        places.note(KEY, places.here())
        await asyncio.create_task(inside())
        with pytest.raises(LockHeld):
            await inside()

    asyncio.run(main())


def test_a_task_blocks_others_of_its_thread_that_wait_without_their_loop():
    async def inside(blocks_thread):
        places.require_not_held(KEY, places.here(), blocks_thread=blocks_thread)

    async def main():
        places.note(KEY, places.here())
        await asyncio.create_task(inside(False))
        with pytest.raises(LockHeld, match=r"the asyncio task that holds it since .* cannot go on"):
            await asyncio.create_task(inside(True))
        await asyncio.to_thread(asyncio.run, inside(True))

    asyncio.run(main())


def test_two_may_have_had_it_if_one_has_lost_it():
    first, second = places.here(), places.here()
    places.note(KEY, first)
    places.note(KEY, second)
    places.drop(KEY, first)
    assert places._held == {KEY: [second]}
