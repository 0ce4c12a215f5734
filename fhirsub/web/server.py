"""What the interactions work with: the store, the settings, the clock, and the doors of special resource types."""
from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from importlib.metadata import version
from typing import Any, Protocol

from ..config import Config
from ..fhir.definitions.structures import RESOURCE_TYPES
from ..store.database import Database


class Door(Protocol):
    """What the server does about one resource type that it acts on itself, such as Subscription.

    One that looks other resources up may have a ``rank``: that of its type in a transaction, as of
    :class:`~fhirsub.web.interactions.writing.Write`.
    """

    def fill(self, resource: dict) -> dict:
        """What is validated in its place, where this server forgives what R4 does not."""

    def check(self, resource: dict, *, config: Config, base_url: str) -> None:
        """Refuse what cannot be accepted, before any transaction; may be slow.

        :param base_url: of this server as the client sees it
        :raises Unprocessable: names the element
        """

    def admit(self, tx: Any, resource: dict, current: dict | None, *, now: datetime, config: Config,
              base_url: str) -> dict:
        """What is stored, inside the transaction; may write rows beside it.

        :param current: the resource as it stands, None if there is none
        :raises FHIRSubError: what other resources say forbids it
        """

    def removed(self, tx: Any, id: str, *, now: datetime) -> None:
        """The resource was deleted in this transaction."""


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
