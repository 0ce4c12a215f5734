"""A named right that one process at a time holds, such as being the matcher."""
from __future__ import annotations

from datetime import timedelta

from sqlalchemy import bindparam, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from ..store.owner import is_dead
from ..store.tables import lease

SKEW_S = 60.0  # no machine's clock is that far ahead of another's: such a lease is from before a clock was set back


def take(tx, name, owner, *, now, lease_s):
    """Take or renew the lease ``name``; True when ``owner`` holds it until the transaction ends and ``lease_s`` after.

    The row stays locked to the end of the transaction, so that whoever else tries waits and then finds it taken:
    two holders never run at the same time, however late one of them is.

    :param owner: names one worker of one process, see :func:`~fhirsub.store.owner.owner_token`
    :param lease_s: seconds after which another may take it
    """
    holder = tx.execute(_HOLDER, {"of": name}).first()
    until = now + timedelta(seconds=lease_s)
    if holder and holder.owner == owner and now + timedelta(seconds=lease_s / 2) < holder.expires_at <= until:
        return True
    free = or_(lease.c.owner == owner, lease.c.expires_at <= now,
               lease.c.expires_at > until + timedelta(seconds=SKEW_S))
    take = update(lease).where(lease.c.name == name).values(owner=owner, expires_at=until)
    if tx.execute(take.where(free)).rowcount:
        return True
    if holder is not None:  # one that died on this host need not be waited for
        return is_dead(holder.owner) and tx.execute(take.where(lease.c.owner == holder.owner)).rowcount == 1
    try:
        with tx.begin_nested():
            tx.execute(insert(lease).values(name=name, owner=owner, expires_at=until))
        return True
    except IntegrityError:  # another process made the row first
        return False


def release(tx, name, owner, *, now):
    """Give the lease up, if ``owner`` holds it, so that another need not wait for its end."""
    tx.execute(update(lease).where(lease.c.name == name, lease.c.owner == owner).values(expires_at=now))


_HOLDER = select(lease.c.owner, lease.c.expires_at).where(lease.c.name == bindparam("of")).with_for_update()
