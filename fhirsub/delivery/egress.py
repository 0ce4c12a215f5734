"""Outgoing HTTP: the only place that sends any, and what it will not do.

It follows no redirect, reads no proxy or password from its surroundings, opens no connection to an address that
:class:`~fhirsub.delivery.addresses.Reach` forbids, spares each host what :class:`~fhirsub.delivery.hosts.Hosts` says,
and ends every attempt on time. One thread serves all transfers:
libcurl says which sockets to watch, and is told when they are ready.

Spec: https://curl.se/libcurl/c/libcurl-multi.html
"""
from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import NamedTuple

import pycurl

from .addresses import Reach
from .hosts import Hosts
from .transfer import Transfer
from .trust import Trust

log = logging.getLogger(__name__)

KEPT_CONNECTIONS = 512  # idle ones, over all endpoints; a process may often open no more than 1024 files

_EVENTS = {pycurl.POLL_IN: selectors.EVENT_READ, pycurl.POLL_OUT: selectors.EVENT_WRITE,
           pycurl.POLL_INOUT: selectors.EVENT_READ | selectors.EVENT_WRITE}


class Request(NamedTuple):
    """``headers``: list of ``(name, value)``; a ``body`` of b"" is sent with ``Content-Length: 0``."""

    method: str
    url: str
    headers: list
    body: bytes = b""


class Egress:
    """Sends requests, many at once.

    :param config: timeouts, what endpoints may be, and how much of it one host gets
    :raises ValueError: a setting cannot be used; names it
    """

    def __init__(self, config):
        self._reach, self._timeout_s = Reach(config), config.attempt_timeout_s
        self._hosts, self._trust = Hosts(config), Trust(config)
        self._submitted, self._idle, self._flying = deque(), [], {}
        self._lock, self._thread, self._closed = threading.Lock(), None, False

    def submit(self, request):
        """Send ``request`` in the background; from any thread.

        :returns: a Future of :class:`~fhirsub.delivery.transfer.Answer`; errors are answers too. It raises
            :class:`~fhirsub.delivery.channels.TryLater` when the host is to be spared: nothing was sent
        """
        future = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("this Egress is closed")
            if self._thread is None:
                self._start()
            self._submitted.append((request, future))
            self._wake()
        return future

    def close(self):
        """Break off what is under way (its Futures are cancelled) and end the thread."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._thread is None:
                return
            self._wake()
        self._thread.join()
        for end in (self._bell, self._ear):  # not by the thread: it may see _closed before the bell has rung
            end.close()

    def _start(self):
        self._bell, self._ear = socket.socketpair()
        self._bell.setblocking(False)
        self._ear.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="fhirsub-egress", daemon=True)
        self._thread.start()

    def _wake(self):
        try:
            self._bell.send(b".")
        except BlockingIOError:  # full: it is awake already
            pass

    def _run(self):
        self._selector, self._timer_at = selectors.DefaultSelector(), None
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._multi.setopt(pycurl.M_MAXCONNECTS, KEPT_CONNECTIONS)
        self._selector.register(self._ear, selectors.EVENT_READ)
        while not self._closed:
            try:
                self._turn()
            except Exception:  # a bug in here must not end all delivery
                log.exception("a turn of the egress loop failed")
                time.sleep(0.1)
        self._end()

    def _turn(self):
        for key, ready in self._selector.select(self._wait_s()):
            if key.fileobj is self._ear:
                self._hear()
            else:
                self._multi.socket_action(key.fd, (pycurl.CSELECT_IN if ready & selectors.EVENT_READ else 0)
                                          | (pycurl.CSELECT_OUT if ready & selectors.EVENT_WRITE else 0))
        while self._submitted:
            self._begin(*self._submitted.popleft())
        if self._timer_at is not None and self._timer_at <= time.monotonic():
            self._timer_at = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._finish()

    def _wait_s(self):
        return None if self._timer_at is None else max(0.0, self._timer_at - time.monotonic())

    def _hear(self):
        try:
            while self._ear.recv(4096):
                pass
        except BlockingIOError:
            pass

    def _begin(self, request, future):
        curl = self._idle.pop() if self._idle else pycurl.Curl()
        try:
            transfer = Transfer(curl, request, self._reach, self._timeout_s, self._trust)
            host = self._hosts.enter(request.url, transfer.began)
        except Exception as error:  # held back, or what cannot be put on the wire: this request's, and told there
            curl.reset()
            self._idle.append(curl)
            future.set_exception(error)
            return
        self._flying[curl] = transfer, host, future
        self._multi.add_handle(curl)

    def _finish(self):
        waiting = 1
        while waiting:
            waiting, done, failed = self._multi.info_read()
            for curl, error in [(curl, None) for curl in done] + [(curl, error) for curl, error, _ in failed]:
                self._multi.remove_handle(curl)
                transfer, host, future = self._flying.pop(curl)
                answer = transfer.answer(error)
                self._hosts.leave(host, answer.error, transfer.began, time.monotonic())
                curl.reset()
                self._idle.append(curl)
                future.set_result(answer)

    def _watch(self, event, fd, multi, data):
        try:
            if event == pycurl.POLL_REMOVE:
                self._selector.unregister(fd)
            elif fd in self._selector.get_map():
                self._selector.modify(fd, _EVENTS[event])
            else:
                self._selector.register(fd, _EVENTS[event])
        except (KeyError, ValueError, OSError):  # already closed: libcurl lets go of it after the fact
            pass

    def _set_timer(self, timeout_ms):
        self._timer_at = None if timeout_ms < 0 else time.monotonic() + timeout_ms / 1000

    def _end(self):
        for curl, (*_, future) in self._flying.items():
            self._multi.remove_handle(curl)
            future.cancel()
        for _, future in self._submitted:
            future.cancel()
        self._multi.close()
        self._selector.close()
