"""Channel headers whose values are write-only: a read shows ``Authorization: ***``, the store keeps them encrypted.

Spec: https://hl7.org/fhir/R4/subscription.html#safety
"""
from __future__ import annotations

import os
from pathlib import Path
from tempfile import NamedTemporaryFile

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import delete, insert, select

from ..delivery.headers import split
from ..errors import Unprocessable
from ..store.tables import secret_header

MASK = "***"
_NAMES = ("authorization", "cookie")
_PARTS = ("token", "key", "secret", "password")


def is_secret(name):
    """Whether the value of the header ``name`` is never shown."""
    name = name.lower()
    return name in _NAMES or any(part in name for part in _PARTS)


class Vault:
    """Keeps and reveals the secret headers of Subscriptions.

    :param key: a Fernet key; see :func:`load_key`
    """

    def __init__(self, key):
        self._fernet = Fernet(key)

    def hide(self, tx, subscription_id, headers):
        """Store the secret values among ``headers`` and return the headers as a read shows them.

        A masked value keeps what is stored; a secret that is no longer among the headers is forgotten.

        :param headers: list of ``"Name: value"``
        :raises Unprocessable: a mask with nothing stored behind it, or one secret header twice
        """
        kept = self._stored(tx, subscription_id)
        secrets, shown = {}, []
        for position, line in enumerate(headers):
            name, value = split(line)
            if not is_secret(name):
                shown.append(line)
                continue
            secrets[name.lower()] = self._secret(name, value, kept, secrets, position)
            shown.append(f"{name}: {MASK}")
        if secrets != kept:
            self.forget(tx, subscription_id)
            if secrets:
                tx.execute(insert(secret_header), [{"subscription_id": subscription_id, "name": name, "value": value}
                                                   for name, value in secrets.items()])
        return shown

    def reveal(self, tx, subscription_id, headers):
        """``headers`` as a channel sends them: each mask replaced by the stored value."""
        if not any(is_secret(split(line)[0]) for line in headers):
            return list(headers)
        stored = self._stored(tx, subscription_id)
        return [self._revealed(line, stored) for line in headers]

    @staticmethod
    def forget(tx, subscription_id):
        """Delete every secret of a Subscription."""
        tx.execute(delete(secret_header).where(secret_header.c.subscription_id == subscription_id))

    def _secret(self, name, value, kept, secrets, position):
        where = f"Subscription.channel.header[{position}]"
        if name.lower() in secrets:
            raise Unprocessable(f"{where}: the header {name} is there twice; give it once", expression=where)
        if value != MASK:
            return self._fernet.encrypt(value.encode()).decode()
        if name.lower() not in kept:
            raise Unprocessable(f"{where}: '{name}: {MASK}' keeps a stored value, and none is stored; give the value",
                                expression=where)
        return kept[name.lower()]

    def _revealed(self, line, stored):
        name, value = split(line)
        if value != MASK or name.lower() not in stored:
            return line
        try:
            return f"{name}: {self._fernet.decrypt(stored[name.lower()].encode()).decode()}"
        except InvalidToken:
            raise ValueError(f"the header {name} was encrypted with another SECRET_KEY") from None

    @staticmethod
    def _stored(tx, subscription_id):
        rows = tx.execute(select(secret_header.c.name, secret_header.c.value)
                          .where(secret_header.c.subscription_id == subscription_id))
        return {name: value for name, value in rows}


def load_key(config):
    """The Fernet key: the setting SECRET_KEY, else the file SECRET_KEY_FILE, which is made (mode 0600) when absent.

    :raises ValueError: it is no key; names the setting
    :raises OSError: the file cannot be read or made
    """
    path = Path(config.secret_key_file)
    if not config.secret_key and not path.exists():
        _make_key(path)
    key = config.secret_key.encode() or path.read_bytes().strip()
    try:
        Fernet(key)
    except ValueError:
        where = "FHIRSUB_SECRET_KEY" if config.secret_key else f"FHIRSUB_SECRET_KEY_FILE {path}"
        raise ValueError(f"{where}: expected 32 bytes in URL-safe base64, as cryptography.fernet.Fernet.generate_key() "
                         "makes them") from None
    return key


def _make_key(path):
    """Write a new key to ``path``, whole or not at all; of two processes at once, one makes it."""
    with NamedTemporaryFile(dir=path.parent) as file:  # mode 0600
        file.write(Fernet.generate_key())
        file.flush()
        try:
            os.link(file.name, path)
        except FileExistsError:
            pass
