"""Where this server may send: the networks, schemes and ports of endpoints.

The registries are written out here: ``ip.is_private`` has changed its ranges between Python patch releases.

Spec: https://www.iana.org/assignments/iana-ipv4-special-registry,
https://www.iana.org/assignments/iana-ipv6-special-registry
"""
from __future__ import annotations

import re
import socket
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from ..errors import Unprocessable

_FORBIDDEN_4 = [IPv4Network(text) for text in (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/4", "240.0.0.0/4")]
_FORBIDDEN_6 = [IPv6Network(text) for text in (
    "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/32", "2001:db8::/32", "2002::/16", "3fff::/20",
    "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8")]
_LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))

# So narrow that every URL parser reads the same host and port out of it: what is checked is what is connected to.
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])"
                  r"(:(?P<port>[0-9]{1,5}))?(/[!$%&'()*+,./0-9:;=@A-Z_a-z~-]*)?(\?[!$%&'()*+,./0-9:;=?@A-Z_a-z~-]*)?")
_EXPRESSION = "Subscription.channel.endpoint"


class Target(NamedTuple):
    scheme: str
    host: str
    port: int


class Reach:
    """What the settings ALLOWED_NETWORKS, ALLOW_HTTP, ENDPOINT_PORTS and HOST let endpoints be.

    :raises ValueError: a setting cannot be read; names it
    """

    def __init__(self, config):
        self.allow_http = config.allow_http
        self._allowed = _networks(config.allowed_networks) + (_LOOPBACK if loopback_allowed(config) else ())
        self._ports = _ports(config.endpoint_ports)

    def port(self, port):
        """Whether endpoints may use this port."""
        return any(low <= port <= high for low, high in self._ports)

    def address(self, text, scheme):
        """Whether the IP address ``text`` may be sent to by ``scheme``; an allowed network wins over the registries."""
        address = ip_address(text.partition("%")[0])
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        if any(address in network for network in self._allowed):
            return True
        forbidden = _FORBIDDEN_4 if address.version == 4 else _FORBIDDEN_6
        return (scheme == "https" or self.allow_http) and not any(address in network for network in forbidden)


def loopback_allowed(config):
    """A server that itself listens on loopback is somebody's own machine: it may send there too."""
    if config.host == "localhost":
        return True
    try:
        return ip_address(config.host).is_loopback
    except ValueError:
        return False


def check_endpoint(url, config, resolve=socket.getaddrinfo):
    """Refuse an endpoint that this server would not send to; a name that resolves to nothing now is accepted.

    The address that a name has later is checked again whenever a connection is opened.

    :param resolve: ``socket.getaddrinfo`` or the like
    :raises Unprocessable: with the expression ``Subscription.channel.endpoint``
    """
    target, reach = _parse(url), _reach(config)
    if not reach.port(target.port):
        raise _refused(f"port {target.port} is not among those allowed here ({config.endpoint_ports})")
    for address in _resolve(target, resolve):
        if reach.address(address, target.scheme):
            continue
        if target.scheme == "http" and reach.address(address, "https"):
            raise _refused("this server sends to https:// only; got an http:// URL")
        raise _refused("the host is in a network that this server does not send to; see the setting ALLOWED_NETWORKS")


def check_elsewhere(url, base_url):
    """Refuse an endpoint on the origin of this server itself: a notification would be a write that causes the next one.

    :param base_url: of this server as the client sees it; empty: nothing is refused
    :raises Unprocessable: with the expression ``Subscription.channel.endpoint``
    """
    own, asked = _target(base_url), _target(url)
    if own and asked and own[1:] == asked[1:]:
        raise _refused("this server does not notify itself; give the URL of another one")


def same_receiver(url, other):
    """Whether what the one may know the other knows too: the same scheme, host and port, or the very same text."""
    return url == other or (target := _target(url)) is not None and target == _target(other)


def _target(url):
    """The :class:`Target` of a URL; None if it is no HTTP URL, which is somebody else's to refuse."""
    try:
        return _parse(url)
    except Unprocessable:
        return None


def _parse(url):
    match = _URL.fullmatch(url) if isinstance(url, str) else None
    if not match:
        found = "" if "@" in str(url) else f"; got {url!r}"  # what stands before an @ may be a password
        raise _refused("expected an absolute URL such as https://example.org/notify, of printable ASCII characters "
                       f"(host in punycode, path percent-encoded), without user name or fragment{found}")
    scheme, host = match["scheme"].lower(), match["host"].strip("[]")
    if scheme not in ("http", "https"):
        raise _refused(f"expected an https:// or http:// URL; got {scheme}://")
    if not all(1 <= len(label) <= 63 for label in host.removesuffix(".").split(".")):
        raise _refused(f"{host!r} is not a host name")
    return Target(scheme, host.lower(), int(match["port"] or (443 if scheme == "https" else 80)))


@lru_cache(maxsize=8)
def _reach(config):
    """Read once: a Bundle may bring thousands of endpoints."""
    return Reach(config)


def _resolve(target, resolve):
    try:
        found = resolve(target.host.rstrip("."), target.port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [sockaddr[0] for family, *_, sockaddr in found if family in (socket.AF_INET, socket.AF_INET6)]


def _refused(why):
    return Unprocessable(f"{_EXPRESSION}: {why}", expression=_EXPRESSION)


def _networks(text):
    try:
        return tuple(ip_network(network) for network in text.split())
    except ValueError as error:
        raise ValueError(f"FHIRSUB_ALLOWED_NETWORKS: expected CIDRs such as 10.1.0.0/16; {error}") from None


def _ports(text):
    try:
        return [(int(low), int(high or low)) for low, _, high in (part.partition("-") for part in text.split())]
    except ValueError:
        raise ValueError(f"FHIRSUB_ENDPOINT_PORTS: expected ports such as '443 8000-8999', got {text!r}") from None
