"""The outbox of one socket."""
from fhirsub.web.outbox import MERGE_OVER, Outbox


def test_take_empties_it_and_every_filling_is_told():
    filled = []
    outbox = Outbox(lambda: filled.append(1))
    outbox.answer("bound a")
    outbox.ping("reader", 1, 5)
    outbox.ping("reader", 2, 7)
    outbox.answer("bound b")
    assert len(filled) == 4
    assert outbox.take() == (["bound a", "bound b"], {"reader": (3, 7)})
    assert outbox.take() == ([], {})


def test_ping_is_one_for_all_when_the_client_is_far_behind():
    outbox = Outbox(lambda: None)
    outbox.ping("reader", MERGE_OVER, 10_000)
    outbox.ping("reader", 1, 10_001)
    assert outbox.take() == ([], {"reader": (1, 10_001)})


def test_forget_drops_the_pings_of_one_reader():
    outbox = Outbox(lambda: None)
    outbox.ping("a", 1, 5)
    outbox.ping("b", 1, 5)
    outbox.forget("a")
    outbox.forget("a")
    assert outbox.take() == ([], {"b": (1, 5)})
