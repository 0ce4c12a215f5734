"""Hands notifications to channels, whether these block, go on elsewhere or fail at once: always a Future comes back."""
from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from .channels import TryLater

BLOCKING_SENDS = 32  # threads for channels that do not return at once


class Sender:
    """Sends on the channel that a notification names.

    :param channels: ``{channel type: channel}``, see :class:`~fhirsub.delivery.channels.Channel`
    """

    def __init__(self, channels):
        self._channels = channels
        self._pool = ThreadPoolExecutor(BLOCKING_SENDS, thread_name_prefix="fhirsub-channel")

    def send(self, notification):
        """Start sending; never blocks and never raises.

        :returns: a Future that is done when the receiver has accepted, or has an exception
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
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _start(self, notification):
        kind = notification.channel["type"]
        channel = self._channels.get(kind)
        if channel is None:
            raise TryLater(reason=f"no channel {kind!r} is set up on this server")
        if getattr(channel, "blocking", True):
            return self._pool.submit(channel.send, notification)
        return channel.send(notification)


def _pass_on(result, sent):
    """Settle ``sent`` with what ``result`` comes to: a Future may result in another one, a value means accepted."""
    if isinstance(result, Future):
        result.add_done_callback(lambda done: _pass_on_done(done, sent))
    else:
        sent.set_result(None)


def _pass_on_done(done, sent):
    try:
        result = done.result()
    except BaseException as error:  # CancelledError too: the dispatcher must hear of it
        sent.set_exception(error)
    else:
        _pass_on(result, sent)
