"""Certificates, with real TLS servers: https://www.rfc-editor.org/rfc/rfc9325"""
import ssl
from pathlib import Path

import certifi
import pytest
from certificates import Authority
from receiver import Receiver

from fhirsub.config import Config
from fhirsub.delivery.egress import Egress, Request
from fhirsub.delivery.trust import Trust


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def post(url, **settings):
    egress = Egress(Config({"HOST": "127.0.0.1"} | {name: str(value) for name, value in settings.items()}, {}))
    try:
        return egress.submit(Request("POST", url, [])).result(30)
    finally:
        egress.close()


def test_certificate_of_an_extra_authority_is_trusted(authority):
    with Receiver(context=authority.server()) as receiver:
        assert post(receiver.url(), EXTRA_CA_FILE=authority.file).status == 200


def test_certificate_of_an_unknown_authority_is_refused(authority):  # F13
    with Receiver(context=authority.server()) as receiver:
        assert post(receiver.url()).error == "tls"
        assert not receiver.arrivals


@pytest.mark.parametrize("wrong", [{"expired": True}, {"host": "127.0.0.2"}], ids=["expired", "another host's"])
def test_wrong_certificate_is_refused(authority, wrong):  # F13
    with Receiver(context=authority.server(**wrong)) as receiver:
        assert post(receiver.url(), EXTRA_CA_FILE=authority.file).error == "tls"
        assert not receiver.arrivals


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_tls_is_refused(authority):  # F13
    context = authority.server()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with Receiver(context=context) as receiver:
        assert post(receiver.url(), EXTRA_CA_FILE=authority.file).error == "tls"
        assert not receiver.arrivals


def test_client_certificate_is_shown_to_who_asks(authority):
    certificate, key = authority.issue("client")
    context = authority.server()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.file)
    with Receiver(context=context) as receiver:
        assert post(receiver.url(), EXTRA_CA_FILE=authority.file).status is None
        assert post(receiver.url(), EXTRA_CA_FILE=authority.file, CLIENT_CERTIFICATE_FILE=certificate,
                    CLIENT_KEY_FILE=key).status == 200


def test_public_authorities_stay_trusted(authority):
    trust = Trust(Config({"EXTRA_CA_FILE": str(authority.file)}, {}))
    together = Path(trust.ca_file).read_bytes()
    assert authority.file.read_bytes() in together and Path(certifi.where()).read_bytes() in together


def test_key_may_be_in_the_file_of_the_certificate(authority):
    certificate, key = authority.issue("client")
    certificate.write_bytes(certificate.read_bytes() + key.read_bytes())
    assert Trust(Config({"CLIENT_CERTIFICATE_FILE": str(certificate)}, {})).key_file == str(certificate)


@pytest.mark.parametrize("setting, content", [
    ("EXTRA_CA_FILE", None), ("EXTRA_CA_FILE", b"no certificate"), ("CLIENT_CERTIFICATE_FILE", None),
    ("CLIENT_CERTIFICATE_FILE", b"no certificate"), ("CLIENT_KEY_FILE", None)])
def test_file_that_cannot_be_used_is_named(tmp_path, setting, content):
    if content:
        (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match=setting):
        Trust(Config({setting: str(tmp_path / "file")}, {}))


def test_key_with_a_password_is_refused(authority):
    certificate, key = authority.issue("client", password=b"hunter2")
    with pytest.raises(ValueError, match="without a password"):
        Trust(Config({"CLIENT_CERTIFICATE_FILE": str(certificate), "CLIENT_KEY_FILE": str(key)}, {}))
