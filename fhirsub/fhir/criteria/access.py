"""An access: one way to file a question in the index, and how selective it is."""
from __future__ import annotations

from typing import NamedTuple


class Access(NamedTuple):
    """Keys under which a question may be filed, of which each change that it matches has one.

    :param rank: the lower, the fewer resources are likely to share one of the values
    :param name: of the parameter, or the path of a chain: ``patient:Patient.general-practitioner``
    :param needs: what resources must be asked for besides: ``chain:PATH``, or a kind of keys with the parameter,
        ``low:date``, ``chain+begins:PATH``, ``code+low:code&date``; see :func:`.keys.needed_keys`
    """

    rank: tuple[float, int]
    name: str
    values: tuple[str, ...]
    needs: tuple[str, ...] = ()
