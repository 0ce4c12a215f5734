"""A certificate authority for tests, and the TLS contexts of servers whose certificates it has signed."""
import ssl
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DAY = timedelta(days=1)


class Authority:
    """Keeps its files in ``folder``; ``file`` is what those need who trust it."""

    def __init__(self, folder):
        self.folder = folder
        self._key, self._name = ec.generate_private_key(ec.SECP256R1()), _name("fhirsub tests")
        own = self._certificate(self._name, self._key.public_key(), authority=True).sign(self._key, hashes.SHA256())
        self.file = folder / "authority.pem"
        self.file.write_bytes(_pem(own))

    def issue(self, name, *, host="127.0.0.1", expired=False, password=None):
        """Paths of a new certificate for ``host`` and of its key."""
        key, ends = ec.generate_private_key(ec.SECP256R1()), datetime.now(timezone.utc) + (-DAY if expired else DAY)
        signed = self._certificate(_name(name), key.public_key(), host=host, ends=ends).sign(self._key, hashes.SHA256())
        paths = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        paths[0].write_bytes(_pem(signed))
        paths[1].write_bytes(_key_pem(key, password))
        return paths

    def server(self, **more):
        """The TLS context of a server with a new certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue("server", **more))
        return context

    def _certificate(self, name, key, *, host=None, authority=False, ends=None):
        made = (x509.CertificateBuilder().subject_name(name).issuer_name(self._name).public_key(key)
                .serial_number(x509.random_serial_number()).not_valid_before(datetime.now(timezone.utc) - 3 * DAY)
                .not_valid_after(ends or datetime.now(timezone.utc) + DAY)
                .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True))
        if host:
            made = made.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False)
        return made


def _name(text):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key, password):
    hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden)
