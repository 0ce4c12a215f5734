"""One request of a channel and what its answer means: accepted, try later, or give up.

Spec: https://www.rfc-editor.org/rfc/rfc9110#name-status-codes
"""
from __future__ import annotations

from concurrent.futures import Future

from ..retry import retry_after_s
from . import GiveUp, TryLater

THROTTLED = frozenset((429, 502, 503, 504))
_WHY = {
    "timeout": "the endpoint did not answer in time",
    "tls": "no trusted TLS connection to the endpoint: check its certificate (issuer, host name, dates)",
    "dns": "the endpoint's host name is not known: check its spelling",
    "unreachable": "the endpoint could not be reached: check its host and port",
    "broken": "the endpoint broke off before it had answered",
    "forbidden": "endpoint not allowed: its host is in a network that this server does not send to",
}


def exchange(egress, request, now):
    """Send ``request`` in the background; any status 200-299 accepts it.

    :param egress: :class:`~fhirsub.delivery.egress.Egress`
    :param now: callable giving the time, for a date in Retry-After
    :returns: a Future of the :class:`~fhirsub.delivery.transfer.Answer`, or of TryLater or GiveUp
    """
    settled = Future()

    def settle(answered):
        try:
            settled.set_result(_accepted(answered.result(), now()))
        except BaseException as error:  # also a cancelled one: whoever waits must hear of it
            settled.set_exception(error)

    egress.submit(request).add_done_callback(settle)
    return settled


def _accepted(answer, now):
    """The answer if it is 2xx, else the exception that says what to do."""
    status = answer.status
    if status is None:
        raise TryLater(None, _WHY[answer.error], throttled=answer.error == "timeout", error=answer.error)
    if 200 <= status <= 299:
        return answer
    if status == 410:
        raise GiveUp("the endpoint answered 410 Gone", status=status, error="status")
    why = f"the endpoint answered {status}"
    if 300 <= status <= 399:
        why += "; redirects are not followed: give the final address as endpoint"
    raise TryLater(retry_after_s(answer.retry_after, now), why, throttled=status in THROTTLED, status=status,
                   error="status")
