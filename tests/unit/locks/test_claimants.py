from django_loco.locks.claimants import Claimants


def test_only_the_first_of_a_lock_looks_at_the_store():
    woken, claimants = [], Claimants()
    for owner in ("a", "b", "c"):
        claimants.add("stock", owner, lambda owner=owner: woken.append(owner))
    claimants.add("other", "d", lambda: woken.append("d"))
    assert [claimants.is_first("stock", owner) for owner in ("a", "b", "c")] == [True, False, False]
    assert claimants.is_first("other", "d")
    claimants.remove("stock", "a")
    assert woken == ["b"]
    claimants.remove("stock", "b")
    claimants.remove("stock", "c")
    claimants.remove("stock", "c")
    assert woken == ["b", "c"]
    assert claimants._by_name.keys() == {"other"}


def test_one_that_is_elsewhere_is_not_woken():
    woken, claimants = [], Claimants()
    claimants.add("stock", "a", lambda: woken.append("a"))
    for name, owner in (("stock", "a"), ("stock", "b"), ("other", "a")):
        claimants.wake(name, owner)
        assert claimants.has(name, owner) == (woken == ["a"] and name == "stock" and owner == "a")
    assert woken == ["a"]


def test_the_first_of_each_lock_are_woken_together():
    woken, claimants = [], Claimants()
    assert not claimants.is_any()
    assert not claimants.wake_all_first()
    for name, owner in (("stock", "a"), ("stock", "b"), ("other", "c")):
        claimants.add(name, owner, lambda owner=owner: woken.append(owner))
    assert claimants.is_any()
    assert claimants.wake_all_first()
    assert woken == ["a", "c"]
