import pytest

from fhirsub.delivery import allowance
from fhirsub.delivery.allowance import Allowance


@pytest.fixture
def clock(monkeypatch):
    """``clock.now`` is the time that Allowance reads."""
    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now
    made = Clock()
    monkeypatch.setattr(allowance, "time", made)
    return made


def test_take_lets_so_many_through_and_tells_how_long_to_wait(clock):
    made = Allowance(3, 60)
    assert [made.take("a") for _ in range(3)] == [0, 0, 0]
    assert made.take("a") == pytest.approx(20)
    assert made.take("b") == 0


def test_take_refills_evenly_and_saves_no_more_than_there_is(clock):
    made = Allowance(3, 60)
    for _ in range(3):
        made.take("a")
    clock.now += 20
    assert (made.take("a"), bool(made.take("a"))) == (0, True)
    clock.now += 10_000
    assert [bool(made.take("a")) for _ in range(4)] == [False, False, False, True]


def test_full_allowances_are_forgotten_and_used_ones_kept(clock, monkeypatch):
    monkeypatch.setattr(allowance, "MOST_KEYS", 3)
    made = Allowance(1, 60)
    made.take("old")
    clock.now += 61
    for key in ("a", "b", "c"):
        assert made.take(key) == 0
    assert "old" not in made._buckets
    assert all(made.take(key) for key in ("a", "b", "c"))
