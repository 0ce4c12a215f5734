"""Hands notifications to channels, whether these block, go on elsewhere or fail at once: always a Future comes back."""
from __future__ import annotations

from concurrent.futures import Future

from .channels import TryLater
from .threads import Threads
from .transfer import Answer

BLOCKING_SENDS = 32  # threads for channels that do not return at once


class Sender:
    """Sends on the channel that a notification names.

    :param channels: ``{channel type: channel}``, see :class:`~fhirsub.delivery.channels.Channel`
    :param timeout_s: how long one that blocks may take
    """

    def __init__(self, channels, timeout_s):
        self._channels, self._threads = channels, Threads(BLOCKING_SENDS, timeout_s)

    def send(self, notification):
        """Start sending; never blocks and never raises.

        :returns: a Future that is done when the receiver has accepted, with the Answer if it was one by HTTP, or has an
            exception
        """
        sent = Future()
        try:
            started = self._start(notification)
        except Exception as error:  # whatever a channel raises: one send never stops the others
            sent.set_exception(error)
        else:
            _pass_on(started, sent)
        return sent

    def close(self):
        """Drop what has not begun; what a channel is doing ends by itself."""
        self._threads.close()

    def _start(self, notification):
        kind = notification.channel["type"]
        channel = self._channels.get(kind)
        if channel is None:
            raise TryLater(reason=f"no channel {kind!r} is set up on this server")
        if getattr(channel, "blocking", True):
            return self._threads.submit(channel.send, notification)
        return channel.send(notification)


def _pass_on(result, sent):
    """Settle ``sent`` with what ``result`` comes to: a Future may result in another one, a value means accepted."""
    if isinstance(result, Future):
        result.add_done_callback(lambda done: _pass_on_done(done, sent))
    else:
        sent.set_result(result if isinstance(result, Answer) else None)  # any other value of a channel is its own


def _pass_on_done(done, sent):
    try:
        result = done.result()
    except BaseException as error:  # CancelledError too: the dispatcher must hear of it
        sent.set_exception(error)
    else:
        _pass_on(result, sent)
