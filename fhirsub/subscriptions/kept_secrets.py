"""The secrets of Subscriptions as they are stored, encrypted: read together and written together.

Spec: https://hl7.org/fhir/R4/subscription.html#safety
"""
from __future__ import annotations

from sqlalchemy import bindparam, delete, insert, select

from ..store.sets import within
from ..store.tables import secret_header


class KeptSecrets:
    """What is stored of some Subscriptions; nothing is read before it is asked for.

    :param ids: of every Subscription that will be asked for
    """

    def __init__(self, tx, ids):
        self._tx, self._ids = tx, ids
        self._before, self._now = None, {}

    def of(self, subscription_id):
        """``{name: encrypted value}`` of one; change it to change what is stored, and :meth:`save`."""
        if self._before is None:
            self._before = {(id, name): value for id, name, value in self._tx.execute(_OF, {"ids": self._ids})}
            self._now = {id: {} for id in self._ids}
            for (id, name), value in self._before.items():
                self._now[id][name] = value
        return self._now[subscription_id]

    def save(self):
        """Store what was changed."""
        before = set((self._before or {}).items())
        now = {((id, name), value) for id, secrets in self._now.items() for name, value in secrets.items()}
        if gone := before - now:
            self._tx.execute(_FORGET, [{"of": id, "called": name} for (id, name), _ in gone])
        if new := now - before:
            self._tx.execute(insert(secret_header), [{"subscription_id": id, "name": name, "value": value}
                                                     for (id, name), value in new])


_ID, _NAME = secret_header.c.subscription_id, secret_header.c.name
_OF = select(secret_header).where(within(_ID, "ids"))
_FORGET = delete(secret_header).where(_ID == bindparam("of"), _NAME == bindparam("called"))
