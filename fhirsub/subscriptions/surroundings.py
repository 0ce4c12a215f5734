"""What stands around the changes of a batch: other resources, Groups and Lists, as they are while it is matched."""
from __future__ import annotations

import re
from collections import defaultdict

from ..store import versions
from ..store.membership import holders
from ..store.terminology import Expansions

_LOCAL = re.compile(r"([A-Za-z]+)/([A-Za-z0-9.-]{1,64})")


class Surroundings:
    """Looks each thing up once; lives as long as one batch, so that nothing it says is old.

    :param expansions: what earlier batches expanded, see :class:`~fhirsub.store.terminology.Expansions`
    :ivar expand: gives the codes of a value set
    """

    def __init__(self, tx, expansions=None):
        self._tx = tx
        self.expand = Expansions(tx, expansions)
        self._resources, self._holders = {}, {}

    def resolve(self, reference):
        """The current version of ``Patient/1`` as a dict; None if this server holds no such resource."""
        local = reference.partition("/_history/")[0]
        self.expect([local])
        return self._resources[local]

    def sets(self, reference):
        """The Groups and Lists that hold it, ``{"Group/5", "List/7"}``."""
        self.expect_sets([reference])
        return self._holders[reference]

    def expect(self, references):
        """Load all that :meth:`resolve` will be asked for, with one query for each type."""
        ids = defaultdict(set)
        for reference in set(references) - self._resources.keys():
            self._resources[reference] = None
            if found := _LOCAL.fullmatch(reference):
                ids[found[1]].add(found[2])
        for type, missing in ids.items():
            for id, found in versions.current_of(self._tx, type, missing).items():
                self._resources[f"{type}/{id}"] = found.resource

    def expect_sets(self, references):
        """Ask for all that :meth:`sets` will be asked for, with one query."""
        missing = set(references) - self._holders.keys()
        if missing:
            self._holders.update(holders(self._tx, missing))
