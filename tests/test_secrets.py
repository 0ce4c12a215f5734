"""What is write-only: https://hl7.org/fhir/R4/subscription.html#safety"""
from contextlib import contextmanager
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from delivering import delivery, receiver  # noqa: F401 - fixtures
from fhir_client import assert_refused, make_client
from pipeline import NOW
from sqlalchemy import select
from test_signature import channel, secret

from fhirsub.config import Config
from fhirsub.delivery import signature
from fhirsub.delivery.channels.rest_hook import RestHook
from fhirsub.errors import Unprocessable
from fhirsub.store.tables import secret_header
from fhirsub.subscriptions import kept_secrets
from fhirsub.subscriptions.door import SubscriptionDoor
from fhirsub.subscriptions.secrets import MAX_OLD, OVERLAP, Vault

OLD, NEW = secret(fill=b"o"), secret(fill=b"n")


@pytest.fixture
def vault():
    return Vault(Fernet.generate_key())


@contextmanager
def kept(database, id="s"):
    """The secrets of one Subscription, to be changed."""
    with database.write() as tx:
        secrets = kept_secrets.KeptSecrets(tx, [id])
        yield secrets.of(id)
        secrets.save()


def hide(vault, database, *given, now=NOW):
    with kept(database) as stored:
        return signature.asked(vault.hide_signature(stored, channel(*given), now=now))


def reveal(vault, database, shown=signature.MASK, now=NOW):
    with database.read() as tx:
        return signature.asked(vault.reveal_signature(tx, "s", channel(shown), now=now))


def rows(database):
    with database.read() as tx:
        return tx.execute(select(secret_header)).all()


def test_signature_secret_is_masked_encrypted_and_revealed(vault, database):
    assert hide(vault, database, NEW) == signature.MASK
    assert NEW not in str(rows(database))
    assert reveal(vault, database) == NEW


def test_other_extensions_stay_as_they_are(vault, database):
    with kept(database) as stored:
        shown = vault.hide_signature(stored, channel(NEW), now=NOW)
    assert shown == channel(signature.MASK)


def test_old_signature_secret_is_used_beside_the_new_one_for_a_day(vault, database):
    hide(vault, database, OLD)
    hide(vault, database, NEW)
    assert reveal(vault, database) == f"{NEW} {OLD}"
    assert reveal(vault, database, now=NOW + OVERLAP) == NEW


def test_mask_and_same_secret_change_nothing(vault, database):
    hide(vault, database, OLD)
    hide(vault, database, NEW)
    for again in (signature.MASK, NEW):
        hide(vault, database, again, now=NOW + OVERLAP / 2)
    assert reveal(vault, database, now=NOW + OVERLAP - timedelta(seconds=1)) == f"{NEW} {OLD}"


def test_signature_secret_that_comes_back_is_the_new_one(vault, database):
    for given in (OLD, NEW, OLD):
        hide(vault, database, given)
    assert reveal(vault, database) == f"{OLD} {NEW}"
    assert reveal(vault, database, now=NOW + OVERLAP) == OLD


def test_old_signature_secrets_are_few(vault, database):
    for number in range(MAX_OLD + 5):
        hide(vault, database, secret(fill=bytes([number])))
    assert len(reveal(vault, database).split()) == MAX_OLD + 1


def test_mask_without_a_stored_signature_secret_is_refused(vault, database):
    with pytest.raises(Unprocessable, match="none is stored"):
        hide(vault, database, signature.MASK)


def test_signature_secret_is_forgotten_with_its_extension(vault, database):
    hide(vault, database, NEW)
    hide(vault, database)
    assert rows(database) == []


def test_headers_and_signature_secret_do_not_disturb_each_other(vault, database):
    hide(vault, database, NEW)
    for headers in (["Authorization: Bearer abc"], []):
        with kept(database) as stored:
            vault.hide(stored, headers)
    assert reveal(vault, database) == NEW
    with kept(database) as stored:
        vault.hide(stored, ["Authorization: Bearer abc"])
    hide(vault, database)
    with database.read() as tx:
        assert vault.reveal(tx, "s", ["Authorization: ***"]) == ["Authorization: Bearer abc"]


def test_signature_secret_of_another_key_is_told(vault, database):
    hide(vault, database, NEW)
    with pytest.raises(ValueError, match="SECRET_KEY"):
        reveal(Vault(Fernet.generate_key()), database)


def test_nothing_is_sent_unsigned_when_the_secret_is_lost(vault, database):
    with pytest.raises(ValueError, match="not stored"):
        reveal(vault, database)


def test_new_signature_secret_replaces_one_that_cannot_be_read(vault, database):
    hide(Vault(Fernet.generate_key()), database, OLD)
    hide(vault, database, NEW)
    assert reveal(vault, database) == NEW


# From the door to the receiver


def subscription(given):
    return {"resourceType": "Subscription", "status": "requested", "reason": "test",
            "criteria": "Observation?status=final", "channel": channel(given) | {"endpoint": "https://8.8.8.8/hook"}}


@pytest.fixture
def client(database, vault):
    channels = {"rest-hook": RestHook(None, Config({"HOST": "127.0.0.1"}, {}))}
    return make_client(database, {"Subscription": SubscriptionDoor(channels, vault)}, channels)


def test_client_never_reads_a_signature_secret(client, vault, database):
    made = client.post("Subscription", subscription(OLD)).resource
    again = client.put(f"Subscription/{made['id']}", made | {"channel": subscription(NEW)["channel"]}).resource
    client.put(f"Subscription/{made['id']}", again)  # as it was read
    for path in ("Subscription", f"Subscription/{made['id']}", f"Subscription/{made['id']}/_history"):
        told = client.get(path)
        assert signature.MASK in told.text and OLD not in told.text and NEW not in told.text
    with database.read() as tx:
        shown = vault.reveal_signature(tx, made["id"], again["channel"], now=NOW)
    assert signature.asked(shown).split()[0] == NEW


def test_client_is_told_what_a_signature_secret_is(client):
    assert_refused(client.post("Subscription", subscription("hunter2")), 422, "openssl rand")
    assert_refused(client.post("Subscription", subscription(signature.MASK)), 422, "none is stored")


def test_channel_that_signs_nothing_takes_no_secret(client, database):
    client.server.channels["websocket"] = object()
    told = client.post("Subscription", subscription(NEW) | {"channel": channel(NEW) | {"type": "websocket"}})
    assert_refused(told, 422, "websocket signs nothing")
    assert rows(database) == []


def test_notification_is_signed_with_the_stored_secret(delivery):  # noqa: F811
    d = delivery()
    with kept(d.database, "sub") as stored:
        hidden = d.vault.hide_signature(stored, channel(NEW) | {"endpoint": d.receiver.url("/a")}, now=NOW)
    d.subscribe(channel=hidden)
    d.happen()
    d.pump()
    (arrival,) = d.receiver.at("/a")
    told = arrival.headers
    assert [("webhook-signature", told["webhook-signature"])] == signature.headers(
        channel(NEW), told["webhook-id"], told["webhook-timestamp"], arrival.body)
