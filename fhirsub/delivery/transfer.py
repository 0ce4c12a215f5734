"""One HTTP exchange on one libcurl handle: how it is set up, what is read of the answer, and what went wrong.

Spec: https://curl.se/libcurl/c/curl_easy_setopt.html
"""
from __future__ import annotations

import socket
import time
from typing import NamedTuple

import pycurl

CONNECT_TIMEOUT_S = 5       # name and connection; the rest of the attempt's time is the receiver's
MAX_BODY_BYTES = 64 * 1024  # nobody reads it; what is short is read to the end so that the connection can be kept
MAX_HEADER_BYTES = 64 * 1024
_KEPT_IDLE_S = 60           # many servers close an idle connection soon after
_PROTOCOLS = pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS

_TLS = (pycurl.E_SSL_CONNECT_ERROR, pycurl.E_PEER_FAILED_VERIFICATION, pycurl.E_SSL_CACERT_BADFILE, pycurl.E_SSL_CIPHER,
        pycurl.E_SSL_ISSUER_ERROR, pycurl.E_SSL_CERTPROBLEM, pycurl.E_SSL_INVALIDCERTSTATUS)
_ERRORS = dict.fromkeys(_TLS, "tls") | {
    pycurl.E_OPERATION_TIMEDOUT: "timeout", pycurl.E_COULDNT_RESOLVE_HOST: "dns",
    pycurl.E_COULDNT_CONNECT: "unreachable"}


class Answer(NamedTuple):
    """What came of a request.

    ``status`` is None unless the status line and every header arrived; what happened to the body after them does not
    matter. ``error`` is then timeout | tls | dns | unreachable | broken | forbidden. Where this server may not send, it
    is always forbidden, whatever would be found there: nobody can map this server's own network.
    """

    status: int | None
    retry_after: str | None
    ms: float
    error: str | None


class Transfer:
    """Sets ``curl`` up for ``request`` and collects its answer.

    :param reach: :class:`~fhirsub.delivery.addresses.Reach`
    :param trust: :class:`~fhirsub.delivery.trust.Trust`
    :ivar began: when, in seconds of the monotonic clock
    """

    def __init__(self, curl, request, reach, timeout_s, trust):
        self._reach, self._https = reach, request.url[:6].lower() == "https:"
        self._status = self._retry_after = None
        self._complete, self._header_bytes, self._body_bytes = False, 0, 0
        self.began = time.monotonic()
        self._forbidden = False
        self._limits(curl, timeout_s)
        self._security(curl, trust)
        self._message(curl, request)

    def answer(self, error):
        """The answer, once libcurl is done.

        :param error: libcurl's error number, None if there was none
        """
        ms = (time.monotonic() - self.began) * 1000
        if self._complete:
            return Answer(self._status, self._retry_after, ms, None)
        return Answer(None, None, ms, "forbidden" if self._forbidden else _ERRORS.get(error, "broken"))

    def _limits(self, curl, timeout_s):
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.PROTOCOLS, _PROTOCOLS)
        curl.setopt(pycurl.FOLLOWLOCATION, 0)
        curl.setopt(pycurl.PROXY, "")  # an empty one, not None: libcurl would look into the environment
        curl.setopt(pycurl.NOPROXY, "*")
        curl.setopt(pycurl.TIMEOUT_MS, int(timeout_s * 1000))
        curl.setopt(pycurl.CONNECTTIMEOUT_MS, int(min(CONNECT_TIMEOUT_S, timeout_s) * 1000))
        curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open)
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        curl.setopt(pycurl.HTTP09_ALLOWED, 0)
        curl.setopt(pycurl.MAXAGE_CONN, _KEPT_IDLE_S)

    def _security(self, curl, trust):
        curl.setopt(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2)
        curl.setopt(pycurl.CAINFO, trust.ca_file)  # no blob: a file libcurl reads once for many connections
        if trust.certificate_file:
            curl.setopt(pycurl.SSLCERT, trust.certificate_file)
            curl.setopt(pycurl.SSLKEY, trust.key_file)

    def _message(self, curl, request):
        curl.setopt(pycurl.URL, request.url)
        curl.setopt(pycurl.PATH_AS_IS, 1)
        curl.setopt(pycurl.CUSTOMREQUEST, request.method)
        curl.setopt(pycurl.POSTFIELDS, request.body)
        curl.setopt(pycurl.HTTPHEADER, _header_lines(request.headers))
        curl.setopt(pycurl.HEADERFUNCTION, self._header)
        curl.setopt(pycurl.WRITEFUNCTION, self._body)

    def _open(self, purpose, address):
        """Open the socket of a connection, if its address is allowed: the one check that no name can trick."""
        family, kind, protocol, (host, port, *_) = address
        host = host.decode() if isinstance(host, bytes) else host
        if not self._reach.port(port) or not self._reach.address(host, "https" if self._https else "http"):
            self._forbidden = True
            return pycurl.SOCKET_BAD
        opened = socket.socket(family, kind, protocol)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return opened

    def _header(self, line):
        self._header_bytes += len(line)
        if self._header_bytes > MAX_HEADER_BYTES:
            return -1
        if line.startswith(b"HTTP/"):
            self._status, self._retry_after = int(line.split(None, 2)[1]), None
        elif line[:12].lower() == b"retry-after:":
            self._retry_after = line[12:].decode("latin-1").strip()
        elif not line.strip():
            self._complete = self._status >= 200  # 1xx: the answer is still to come
        return None

    def _body(self, chunk):
        self._body_bytes += len(chunk)
        return -1 if self._body_bytes > MAX_BODY_BYTES else None


def _header_lines(headers):
    """As libcurl wants them; an empty value needs a semicolon, and a bare name keeps libcurl from adding its own."""
    given = {name.lower() for name, _ in headers}
    own = {"accept-encoding": b"Accept-Encoding: identity", "accept": b"Accept:", "expect": b"Expect:",
           "content-type": b"Content-Type:"}
    return [f"{name}: {value}".encode() if value else f"{name};".encode() for name, value in headers] + [
        line for name, line in own.items() if name not in given]
