"""What the interactions work with: the store, the settings, the clock, and the doors of special resource types."""
from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from importlib.metadata import version
from typing import Any, Protocol

from ..config import Config
from ..fhir.definitions.structures import RESOURCE_TYPES
from ..store.database import Database

Admit = Callable[[dict | None, dict | None], dict | None]


class Door(Protocol):
    """What the server does about one resource type that it acts on itself, such as Subscription.

    One that looks other resources up may have a ``rank``: that of its type in a transaction, as of
    :class:`~fhirsub.web.interactions.writing.Write`; and if they may be of its own type, ``one_by_one = True``.
    """

    def fill(self, resource: dict) -> dict:
        """What is validated in its place, where this server forgives what R4 does not."""

    def check(self, resource: dict, *, config: Config, base_url: str) -> None:
        """Refuse what cannot be accepted, before any transaction; may be slow.

        :param base_url: of this server as the client sees it
        :raises Unprocessable: names the element
        """

    def admitting(self, tx: Any, ids: Sequence[str], *, now: datetime, config: Config,
                  base_url: str) -> AbstractContextManager[Admit]:
        """Opens the door for the resources that one transaction writes together; may read and write rows beside them.

        ``admit(resource, current)`` is what is stored of each. ``current`` is the resource as it stands, None if there
        is none; for a delete ``resource`` is None. It raises FHIRSubError if what other resources say forbids it.

        :param ids: of all that will be admitted, and in their order
        """


# Compared and hashed by identity: there is one per application, and the CapabilityStatement is cached by it.
@dataclass(eq=False)
class Server:
    """One FHIR server.

    :param now: the clock; aware UTC
    :param doors: by resource type
    :param channels: by ``Subscription.channel.type``; what a channel has as ``documentation`` stands in the
        CapabilityStatement
    """

    database: Database
    config: Config
    now: Callable[[], datetime]
    doors: Mapping[str, Door] = field(default_factory=dict)
    channels: Mapping[str, Any] = field(default_factory=dict)
    software_version: str = field(default_factory=lambda: version("fhirsub"))

    def __post_init__(self) -> None:
        self.resource_types     # a wrong setting is told at the start, not by the first request

    @cached_property
    def resource_types(self) -> frozenset[str]:
        """The types served.

        :raises ValueError: the setting names a type that R4 does not have
        """
        wanted = frozenset(self.config.resource_types.split())
        if unknown := sorted(wanted - RESOURCE_TYPES):
            raise ValueError(f"FHIRSUB_RESOURCE_TYPES: {unknown[0]!r} is no R4 resource type")
        return wanted or RESOURCE_TYPES

    def websocket_url(self, base_url: str) -> str | None:
        """Where clients bind; None if the websocket is off."""
        path = self.config.websocket_path.strip("/")
        return f"ws{base_url.removeprefix('http')}/{path}" if path else None

    @staticmethod
    def new_id() -> str:
        return str(uuid.uuid4())
