"""Wake-ups: who waits for changes, events or due subscriptions looks again at once instead of at the next sweep.

Nothing depends on one: a hint may be lost, late or needless.
"""
from __future__ import annotations

import threading
import time

from sqlalchemy import Connection, event, func, select

from .relay import CHANNEL, Relay

# Execution option of a Database's own writing transaction: the set of names to tell when it has committed.
ANNOUNCED = "fhirsub_announced"
# The same of a host application's connection: the names to tell when it commits.
_FOREIGN = "fhirsub_foreign"

# SQLAlchemy's commit event comes just before the commit, so what it tells is looked for again after these seconds.
_LOOKS_S = tuple(0.001 * 2 ** n for n in range(10))


def announce_ours(tx: Connection, name: str) -> bool:
    """Tell the name when ``tx`` has committed, if a :class:`~fhirsub.store.database.Database` made it; else False."""
    announced = tx.get_execution_options().get(ANNOUNCED)
    if announced is None:
        return False
    announced.add(name)
    return True


def is_announced(tx: Connection, name: str) -> bool:
    """Whether the name is to be told when ``tx``, which a Database made, has committed."""
    return name in tx.get_execution_options()[ANNOUNCED]


class Hints:
    """One counter per name: "change" (recorded), "event" (appended), "due" (a subscription is).

    A tell between a look and a wait is not lost::

        while running:
            seen = hints.seen("change")
            work()
            hints.wait("change", seen, timeout_s)

    :param relay: carries the names to other processes and theirs here; None: there are no others
    """

    def __init__(self, relay: Relay | None = None):
        self._bells: dict[str, _Bell] = {}
        self._relay = relay
        if relay:
            relay.hear = self._ring

    def seen(self, name: str) -> int:
        """How often the name has been told."""
        return self._bell(name).told

    def wait(self, name: str, seen: int, timeout_s: float) -> int:
        """Return as soon as the name has been told more often than ``seen``, or after ``timeout_s``.

        :returns: the new ``seen``; may be the old one, also early: whoever waits looks and waits again
        """
        if self._relay:
            self._relay.start()
        return self._bell(name).wait(seen, timeout_s)

    def wake(self, *names: str) -> None:
        """Wake those who wait for any of the names in this process only."""
        self._ring(names)

    def tell(self, *names: str) -> None:
        """Wake those who wait for any of the names, in every process."""
        self._ring(names)
        if self._relay:
            self._relay.send(names)

    def announce(self, tx: Connection, name: str) -> None:
        """Tell the name when ``tx`` commits, whoever made it; never if it rolls back."""
        if announce_ours(tx, name):
            return
        if tx.dialect.name == "postgresql":
            tx.execute(select(func.pg_notify(CHANNEL, name)))
        else:
            self._announce_foreign(tx, name)

    def stop(self) -> None:
        """End the relay's thread, if it runs; what was told before has been sent."""
        if self._relay:
            self._relay.stop()

    def _ring(self, names) -> None:
        for name in names:
            self._bell(name).ring()

    def _bell(self, name: str) -> _Bell:
        return self._bells.get(name) or self._bells.setdefault(name, _Bell())

    def _announce_foreign(self, tx: Connection, name: str) -> None:
        names = tx.get_execution_options().get(_FOREIGN)
        if names is None:
            names = set()
            tx.execution_options(**{_FOREIGN: names})
            event.listen(tx, "commit", lambda _: self._ring_early(names))
            event.listen(tx, "rollback", lambda _: names.clear())
        names.add(name)

    def _ring_early(self, names: set[str]) -> None:
        while names:
            self._bell(names.pop()).ring(early=True)


class _Bell:
    def __init__(self):
        self.told = 0
        self._told_early_at = -_LOOKS_S[-1]
        self._condition = threading.Condition()

    def ring(self, early: bool = False) -> None:
        with self._condition:
            self.told += 1
            if early:
                self._told_early_at = time.monotonic()
            self._condition.notify_all()

    def wait(self, seen: int, timeout_s: float) -> int:
        with self._condition:
            if self.told == seen:
                self._condition.wait(min(timeout_s, self._next_look_s()))
            return self.told

    def _next_look_s(self) -> float:
        since = time.monotonic() - self._told_early_at
        return next((look - since for look in _LOOKS_S if look > since), threading.TIMEOUT_MAX)
