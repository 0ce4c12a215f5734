"""Whose certificates are trusted, and which one this server shows when an endpoint asks for it.

Spec: https://www.rfc-editor.org/rfc/rfc9325
"""
from __future__ import annotations

import ssl
from functools import cached_property
from pathlib import Path
from tempfile import NamedTemporaryFile

import certifi


class Trust:
    """The settings EXTRA_CA_FILE, CLIENT_CERTIFICATE_FILE and CLIENT_KEY_FILE; there is none to switch checking off.

    :ivar certificate_file: PEM file; empty: none is shown. Its key is in ``key_file``
    :raises ValueError: a file cannot be used; names the setting
    """

    def __init__(self, config):
        self._extra, self.certificate_file = config.extra_ca_file, config.client_certificate_file
        self.key_file = config.client_key_file or config.client_certificate_file
        if self._extra:
            _check_authorities(self._extra)
        if self.certificate_file or self.key_file:
            _check_pair(self.certificate_file, self.key_file)

    @property
    def ca_file(self):
        """PEM file of every certificate authority."""
        return self._bundle.name if self._extra else certifi.where()

    @cached_property
    def _bundle(self):
        # Made by the process that sends, maybe a fork of the one that has read the settings: it goes away with it.
        made = NamedTemporaryFile(prefix="fhirsub-ca-", suffix=".pem")
        made.write(Path(certifi.where()).read_bytes() + b"\n" + Path(self._extra).read_bytes())
        made.flush()
        return made


def _check_authorities(extra):
    try:
        ssl.create_default_context(cafile=extra)
    except OSError as error:  # ssl.SSLError is one
        raise ValueError(f"FHIRSUB_EXTRA_CA_FILE: expected a PEM file of certificates; {extra}: {error}") from None


def _check_pair(certificate, key):
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:
        raise ValueError("FHIRSUB_CLIENT_CERTIFICATE_FILE, FHIRSUB_CLIENT_KEY_FILE: expected PEM files of a "
                         f"certificate and its key, without a password; {certificate}: {error}") from None


def _no_password():
    raise ValueError("the key is encrypted")
