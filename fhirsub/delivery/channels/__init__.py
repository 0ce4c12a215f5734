"""Channels: how a notification leaves this server, and how one says that it could not.

A channel is any object with ``send(notification)``; the dispatcher keeps the order, the retries and the status.

Spec: https://hl7.org/fhir/R4/valueset-subscription-channel-type.html
"""
from __future__ import annotations

from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..notification import Notification


class Channel(Protocol):
    """May have ``check(channel, config)`` too, which refuses a ``Subscription.channel`` before it is stored.

    With ``own_content = True`` that judges payload and header as well: they need not be JSON and headers of HTTP.
    With ``signs = True`` the channel may bring a secret for it to sign with, see :mod:`fhirsub.delivery.signature`.
    """

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
    :param attempted: False: it was not even tried, which uses up nothing of the schedule; again after ``after_s``
    :param status: of the HTTP answer, for the attempt log
    :param error: class of the failure, likewise:
        timeout | tls | dns | unreachable | broken | forbidden | status | secret | render
    """

    def __init__(self, after_s=None, reason="the channel could not deliver", *, throttled=False, attempted=True,
                 status=None, error=None):
        self.after_s, self.reason, self.throttled, self.attempted = after_s, reason, throttled, attempted
        self.status, self.error = status, error
        super().__init__(reason)


class SetAside(TryLater):
    """The notification of this one event cannot be made: after a few attempts it is parked, and the next are sent.

    Only for what is the event's own fault; what would stop every other one too is a :class:`TryLater`.
    """

    def __init__(self, reason="the notification of an event could not be made"):
        super().__init__(None, reason, error="render")


class GiveUp(Exception):
    """The receiver will never accept: the Subscription is switched off, and ``reason`` becomes its error text.

    :param status: as for :class:`TryLater`; likewise ``error``
    """

    def __init__(self, reason, *, status=None, error=None):
        self.reason, self.status, self.error = reason, status, error
        super().__init__(reason)


@contextmanager
def rendering():
    """Around what makes a notification out of its event: whatever goes wrong there is the event's own fault."""
    try:
        yield
    except SetAside:
        raise
    except Exception as error:
        raise SetAside() from error
