"""What of a channel is write-only: a read shows ``Authorization: ***`` and ``whsec_***``, the store keeps it encrypted.

Spec: https://hl7.org/fhir/R4/subscription.html#safety
"""
from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile

from cryptography.fernet import Fernet, InvalidToken

from ..delivery import signature
from ..delivery.headers import split
from ..errors import Unprocessable
from .kept_secrets import KeptSecrets

MASK = "***"
OVERLAP = timedelta(hours=24)  # an old signature secret is used beside a new one, until every receiver knows that
MAX_OLD = 10
_NAMES = ("authorization", "cookie")
_PARTS = ("token", "key", "secret", "password")
_SIGNATURE = "(signature)"     # where a header has its name: no header can be called that


def is_secret(name):
    """Whether the value of the header ``name`` is never shown."""
    name = name.lower()
    return name in _NAMES or any(part in name for part in _PARTS)


class Vault:
    """Keeps and reveals the secret headers and the signature secrets of Subscriptions.

    :param key: a Fernet key; see :func:`load_key`
    """

    def __init__(self, key):
        self._fernet = Fernet(key)

    def hide(self, stored, headers):
        """Put the secret values among ``headers`` into ``stored`` and return the headers as a read shows them.

        A masked value keeps what is stored; a secret that is no longer among the headers is forgotten.

        :param stored: of the Subscription, see :class:`~.kept_secrets.KeptSecrets`
        :param headers: list of ``"Name: value"``
        :raises Unprocessable: a mask with nothing stored behind it, or one secret header twice
        """
        secrets, shown = {}, []
        for position, line in enumerate(headers):
            name, value = split(line)
            if not is_secret(name):
                shown.append(line)
                continue
            secrets[name.lower()] = self._secret(name, value, stored, secrets, position)
            shown.append(f"{name}: {MASK}")
        for name in stored.keys() - secrets.keys() - {_SIGNATURE}:
            del stored[name]
        stored |= secrets
        return shown

    def reveal(self, tx, subscription_id, headers):
        """``headers`` as a channel sends them: each mask replaced by the stored value."""
        if not any(is_secret(split(line)[0]) for line in headers):
            return list(headers)
        stored = KeptSecrets(tx, [subscription_id]).of(subscription_id)
        return [self._revealed(line, stored) for line in headers]

    def hide_signature(self, stored, channel, *, now):
        """Put the signature secret of ``channel`` into ``stored`` and return the channel as a read shows it.

        The mask keeps what is stored. A secret that is replaced stays in use for :data:`OVERLAP`; one whose extension
        is gone is forgotten.

        :param stored: of the Subscription, see :class:`~.kept_secrets.KeptSecrets`
        :raises Unprocessable: a mask with nothing stored behind it
        """
        given = signature.asked(channel)
        if given is None:
            stored.pop(_SIGNATURE, None)
            return channel
        if given != signature.MASK:
            stored[_SIGNATURE] = self._with(given, stored, now)
        elif _SIGNATURE not in stored:
            where = "Subscription.channel.extension"
            raise Unprocessable(f"{where}: {signature.MASK} keeps a stored secret, and none is stored; give the secret",
                                expression=where)
        return signature.replaced(channel, signature.MASK)

    def reveal_signature(self, tx, subscription_id, channel, *, now):
        """``channel`` as it is sent with: the mask replaced by the secrets in use, the newest first, between blanks.

        :raises ValueError: they cannot be read, or are not there
        """
        if signature.asked(channel) != signature.MASK:
            return channel
        secrets = self._secrets(KeptSecrets(tx, [subscription_id]).of(subscription_id))
        if not secrets:
            raise ValueError("the signature secret is not stored; write it anew")
        in_use = [secret for secret, until in secrets if until is None or until > now.timestamp()]
        return signature.replaced(channel, " ".join(in_use))

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

    def _with(self, given, stored, now):
        """What is stored once the secret ``given`` is the newest, encrypted."""
        try:
            kept = self._secrets(stored)
        except ValueError:  # of another SECRET_KEY: it signs nothing any more, and a new one is the cure
            kept = []
        ends = (now + OVERLAP).timestamp()
        old = [(secret, min(until or ends, ends)) for secret, until in kept if secret != given]
        return self._fernet.encrypt(json.dumps([(given, None), *old[:MAX_OLD]]).encode()).decode()

    def _secrets(self, stored):
        """``[(secret, until or None), …]``, the newest first; of signatures."""
        if _SIGNATURE not in stored:
            return []
        try:
            return [tuple(pair) for pair in json.loads(self._fernet.decrypt(stored[_SIGNATURE].encode()))]
        except InvalidToken:
            raise ValueError("the signature secret was encrypted with another SECRET_KEY") from None


def load_key(config):
    """The Fernet key: the setting SECRET_KEY, else the file SECRET_KEY_FILE, which is made (mode 0600) when absent.

    :raises ValueError: it is no key; names the setting
    :raises OSError: the file cannot be read or made
    """
    path = Path(config.secret_key_file)
    try:
        if not config.secret_key and not path.exists():
            _make_key(path)
        key = config.secret_key.encode() or path.read_bytes().strip()
    except OSError as error:
        raise OSError(f"FHIRSUB_SECRET_KEY_FILE {path}: {error.strerror}") from error
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
