import socket

import pytest
from pipeline import NOW
from receiver import Receiver

from fhirsub.config import Config
from fhirsub.delivery.addresses import Reach, check_elsewhere, check_endpoint, loopback_allowed
from fhirsub.delivery.egress import Egress, Request
from fhirsub.delivery.resolving import KEPT, MAX_KEPT, Resolver
from fhirsub.errors import Unprocessable

PUBLIC = {"HOST": "0.0.0.0"}


@pytest.fixture
def egress():
    made = Egress(Config(PUBLIC | {"ALLOW_HTTP": True}, {}))
    yield made
    made.close()


def resolver(*addresses):
    def resolve(host, port, type):
        return [(socket.AF_INET6 if ":" in address else socket.AF_INET, type, 6, "", (address, port))
                for address in addresses]
    return resolve


def refused(url, settings=PUBLIC, resolve=socket.getaddrinfo):
    with pytest.raises(Unprocessable) as caught:
        check_endpoint(url, Config(settings, {}), resolve)
    assert caught.value.issues[0].expression == "Subscription.channel.endpoint"
    return caught.value.issues[0].diagnostics


INTERNAL = [
    "https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f.1/", "https://0177.0.0.1/",
    "https://localhost/", "https://localhost./", "https://[::1]/", "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/", "https://0.0.0.0/", "https://[::]/", "https://10.1.2.3/", "https://172.31.0.1/",
    "https://192.168.0.1/", "https://100.64.0.1/", "https://169.254.169.254/latest/meta-data", "https://192.0.0.8/",
    "https://198.18.0.1/", "https://224.0.0.1/", "https://255.255.255.255/", "https://[fc00::1]/",
    "https://[fd00:ec2::254]/", "https://[fe80::1]/", "https://[ff02::1]/", "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/", "https://[2001:db8::1]/", "https://[2001::1]/", "https://[::127.0.0.1]/",
]


@pytest.mark.parametrize("url", INTERNAL)
def test_check_endpoint_refuses_network_that_is_not_public(url):  # however it is spelled
    assert "ALLOWED_NETWORKS" in refused(url)


@pytest.mark.parametrize("url", INTERNAL)
def test_same_url_is_not_sent_to_when_it_was_stored_nevertheless(egress, url):  # F15
    assert egress.submit(Request("POST", url, [])).result(30).error == "forbidden"


def test_name_that_was_public_when_checked_is_not_sent_to_once_it_is_not(egress):  # F14: DNS rebinding
    with Receiver() as receiver:
        url = receiver.url("/", "rebinds.localhost")  # libcurl resolves it to loopback, whatever DNS says
        check_endpoint(url, Config(PUBLIC | {"ALLOW_HTTP": True}, {}), resolver("8.8.8.8"))
        assert egress.submit(Request("POST", url, [])).result(30).error == "forbidden"
        assert not receiver.arrivals


@pytest.mark.parametrize("url", ["https://me.org/fhir/Patient", "https://ME.org:443/", "http://me.org:443/x"])
def test_check_elsewhere_refuses_the_servers_own_origin(url):  # D13
    with pytest.raises(Unprocessable, match="does not notify itself") as caught:
        check_elsewhere(url, "https://me.org/fhir")
    assert caught.value.issues[0].expression == "Subscription.channel.endpoint"


@pytest.mark.parametrize("url, base_url", [
    ("https://me.org:8443/", "https://me.org/fhir"), ("https://other.org/", "https://me.org/fhir"),
    ("https://me.org/", ""), ("mailto:a@me.org", "https://me.org/fhir"), (None, "https://me.org/fhir")])
def test_check_elsewhere_accepts(url, base_url):
    check_elsewhere(url, base_url)


@pytest.mark.parametrize("address", ["192.0.2.1", "192.88.99.1", "203.0.113.7", "240.0.0.1", "100::1", "3fff::1", "5f00::1"])
def test_reach_forbids_special_purpose_address(address):
    assert not Reach(Config(PUBLIC, {})).address(address, "https")


@pytest.mark.parametrize("address", ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_reach_allows_public_address(address):
    assert Reach(Config(PUBLIC, {})).address(address, "https")


@pytest.mark.parametrize("url", [
    "", "adfdf", "htt://example.org/", "ftp://example.org/", "mailto:a@example.org", "/notify", "//example.org/x",
    "https://", "https:///path", "https://user:secret@example.org/", "https://example.org/#part",
    "https://example.org/a b", "https://example.org/\r\nX: 1", "https://example.org\\@internal/", "https://exämple.org/",
    "https://example.org:port/", "https://[::1%25eth0]/", "https://example.org/\x00", " https://example.org/", None,
])
def test_check_endpoint_refuses_what_is_no_plain_http_url(url):
    refused(url, resolve=resolver("8.8.8.8"))


def test_check_endpoint_does_not_repeat_password():
    assert "hunter2" not in refused("https://user:hunter2@example.org/", resolve=resolver("8.8.8.8"))


@pytest.mark.parametrize("port", [0, 22, 25, 79, 1023, 65536, 99999])
def test_check_endpoint_refuses_port(port):
    assert f"port {port}" in refused(f"https://example.org:{port}/", resolve=resolver("8.8.8.8"))


@pytest.mark.parametrize("url", ["https://example.org", "https://example.org/a/b?c=d&e=%20", "HTTPS://example.org:8443/~x",
                                 "https://example.org:443/$op"])
def test_check_endpoint_accepts_public_https(url):
    check_endpoint(url, Config(PUBLIC, {}), resolver("8.8.8.8", "2606:4700::1111"))


def test_check_endpoint_refuses_name_of_which_one_address_is_internal():
    refused("https://example.org/", resolve=resolver("8.8.8.8", "10.0.0.1"))


def test_check_endpoint_accepts_name_that_does_not_resolve_yet():
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    check_endpoint("https://later.example.org/", Config(PUBLIC, {}), unknown)


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".org"])
def test_check_endpoint_refuses_impossible_host_name(host):
    assert "host" in refused(f"https://{host}/")


def test_http_needs_setting_or_allowed_network():
    assert "https:// only" in refused("http://example.org/", resolve=resolver("8.8.8.8"))
    check_endpoint("http://example.org/", Config(PUBLIC | {"ALLOW_HTTP": True}, {}), resolver("8.8.8.8"))
    check_endpoint("http://example.org/", Config(PUBLIC | {"ALLOWED_NETWORKS": "8.8.0.0/16"}, {}), resolver("8.8.8.8"))
    refused("http://10.0.0.1/", PUBLIC | {"ALLOW_HTTP": True})


def test_allowed_networks_open_internal_addresses():
    settings = PUBLIC | {"ALLOWED_NETWORKS": "10.1.0.0/16 fd00::/8"}
    check_endpoint("http://10.1.2.3:8080/", Config(settings, {}))
    check_endpoint("http://[fd12::1]:8080/", Config(settings, {}))
    refused("http://10.2.2.3:8080/", settings)


@pytest.mark.parametrize("host, allowed", [("127.0.0.1", True), ("127.0.0.2", True), ("::1", True), ("localhost", True),
                                           ("0.0.0.0", False), ("192.168.1.1", False), ("example.org", False), ("", False)])
def test_loopback_is_allowed_while_server_listens_on_it(host, allowed):
    config = Config({"HOST": host}, {})
    assert loopback_allowed(config) is allowed
    assert Reach(config).address("127.0.0.1", "http") is allowed
    assert Reach(config).address("::1", "http") is allowed


@pytest.mark.parametrize("name, value", [("ALLOWED_NETWORKS", "10.0.0.1/8"), ("ALLOWED_NETWORKS", "home"),
                                         ("ENDPOINT_PORTS", "80,443")])
def test_reach_names_setting_it_cannot_read(name, value):
    with pytest.raises(ValueError, match=name):
        Reach(Config({name: value}, {}))


def test_resolver_asks_again_only_after_a_while():
    asked, clock = [], [NOW]

    def resolve(host, port, type):
        asked.append(host)
        if host == "gone":
            raise OSError
        return resolver("8.8.8.8")(host, port, type)

    remembering = Resolver(lambda: clock[0], resolve)
    for _ in range(3):
        check_endpoint("https://known/", Config(PUBLIC, {}), remembering)
        check_endpoint("https://gone/", Config(PUBLIC, {}), remembering)
    assert asked == ["known", "gone"]
    clock[0] += KEPT
    check_endpoint("https://known/", Config(PUBLIC, {}), remembering)
    assert asked == ["known", "gone", "known"]
    clock[0] -= 100 * KEPT  # it was set back
    check_endpoint("https://known/", Config(PUBLIC, {}), remembering)
    assert asked == ["known", "gone", "known", "known"]


def test_resolver_remembers_only_so_many():
    remembering = Resolver(lambda: NOW, resolver("8.8.8.8"))
    for number in range(2 * MAX_KEPT + 1):
        remembering(f"host{number}", 443, socket.SOCK_STREAM)
    assert len(remembering._kept) <= MAX_KEPT
