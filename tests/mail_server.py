"""A real SMTP server on loopback that keeps the mails it takes and refuses what it is told to."""
import email
import socket
import ssl
import threading
import time
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address

from aiosmtpd.controller import Controller
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


class MailServer:
    """``server.answers["RCPT"] = "550 5.1.1 unknown"`` refuses; ``server.mails`` are those taken, parsed.

    :param options: of ``aiosmtpd.smtp.SMTP``
    """

    def __init__(self, **options):
        self.mails, self.recipients, self.answers = [], [], {}
        self._taken = threading.Condition()
        self._controller = _Controller(self, **options)
        self.port = self._controller.port

    def __enter__(self):
        self._controller.start()
        return self

    def __exit__(self, *_):
        self._controller.stop()

    def wait(self, count, timeout_s=30.0):
        """The mails, once there are ``count``; those there are when the time is over."""
        deadline = time.monotonic() + timeout_s
        with self._taken:
            while len(self.mails) < count and (left := deadline - time.monotonic()) > 0:
                self._taken.wait(left)
            return list(self.mails)

    async def handle_MAIL(self, server, session, envelope, address, options):
        if "MAIL" in self.answers:
            return self.answers["MAIL"]
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if "RCPT" in self.answers:
            return self.answers["RCPT"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if "DATA" in self.answers:
            return self.answers["DATA"]
        with self._taken:
            self.recipients.append((envelope.mail_from, envelope.rcpt_tos))
            self.mails.append(email.message_from_bytes(envelope.original_content, policy=email.policy.default))
            self._taken.notify_all()
        return "250 OK"

    async def handle_QUIT(self, server, session, envelope):
        return self.answers.get("QUIT", "221 Bye")


class _Controller(Controller):
    """Listens on a free port from the beginning, so that nobody else can take it."""

    def __init__(self, handler, **options):
        self._listener = socket.create_server(("127.0.0.1", 0))
        super().__init__(handler, hostname="127.0.0.1", port=self._listener.getsockname()[1], **options)

    def _create_server(self):
        return self.loop.create_server(self._factory_invoker, sock=self._listener, ssl=self.ssl_context)


def certificate(folder):
    """A key and a certificate for 127.0.0.1, signed by itself.

    :returns: ``(path of the certificate, ssl.SSLContext of a server that has it)``
    """
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(timezone.utc)
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=True)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256()))
    path, key_path = folder / "certificate.pem", folder / "key.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                           serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key_path)
    return path, context
