"""Leases of what one process at a time may do."""
from datetime import timedelta

from pipeline import NOW

from fhirsub.subscriptions import lease


def test_lease_from_before_the_clock_was_set_back_is_taken(database):  # reliability A3.10
    def take(owner, at):
        with database.write() as tx:
            return lease.take(tx, "matcher", owner, now=at, lease_s=3)

    assert take("a", NOW + timedelta(days=3650))
    assert take("b", NOW)
    assert not take("a", NOW)


def test_clocks_that_differ_a_little_take_nothing_from_each_other(database):
    def take(owner, at):
        with database.write() as tx:
            return lease.take(tx, "matcher", owner, now=at, lease_s=3)

    assert take("ahead", NOW + timedelta(seconds=30))
    assert not take("behind", NOW)
