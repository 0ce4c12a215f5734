"""Channels: how a notification leaves this server, and how one says that it could not.

A channel is any object with ``send(notification)``; the dispatcher keeps the order, the retries and the status.

Spec: https://hl7.org/fhir/R4/valueset-subscription-channel-type.html
"""
from __future__ import annotations

from concurrent.futures import Future
from typing import Protocol

from ..notification import Notification


class Channel(Protocol):
    """May have ``check(channel, config)`` too, which refuses a ``Subscription.channel`` before it is stored."""

    blocking = True  # send() is called on a thread of its own; False: it returns at once, with a Future if it goes on

    def send(self, notification: Notification) -> Future | None:
        """Send one notification; returning, or resolving the Future, means that the receiver has accepted it.

        :raises TryLater: not accepted; also when any other exception is raised
        :raises GiveUp: and never will be: the Subscription is switched off
        """


class TryLater(Exception):
    """The receiver has not accepted the notification.

    :param after_s: seconds that the receiver asked to be left alone; None: the schedule decides
    :param reason: for ``Subscription.error``: what happened and what would help, without secrets or patient data
    :param throttled: it did not answer in time, or has too much to do: pause for RETRY_FLOOR_S at least
    """

    def __init__(self, after_s=None, reason="the channel could not deliver", *, throttled=False):
        self.after_s, self.reason, self.throttled = after_s, reason, throttled
        super().__init__(reason)


class GiveUp(Exception):
    """The receiver will never accept: the Subscription is switched off, and ``reason`` becomes its error text."""

    def __init__(self, reason):
        self.reason = reason
        super().__init__(reason)
