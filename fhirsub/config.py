"""Every setting: one line each, from ``create_app`` arguments, Flask config or the environment (``FHIRSUB_<NAME>``)."""
from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any, NamedTuple


class Setting(NamedTuple):
    """One setting; its default is of its type.

    :param zero: of a number, whether it may be 0
    """

    name: str
    default: Any
    unit: str
    meaning: str
    zero: bool = False


SETTINGS = (
    Setting("DATABASE", "sqlite:///fhirsub.db", "URL",
            "where everything is kept: SQLite or PostgreSQL (postgresql://…)"),
    Setting("CONNECTIONS", 20, "connections", "most database connections of one process"),
    Setting("HOST", "", "address", "where the web processes listen; `fhirsub serve` takes 127.0.0.1. Endpoints on "
            "loopback are allowed only if this is a loopback address"),
    Setting("PORT", 8080, "port", "port that `fhirsub serve` listens on; 0 takes a free one", zero=True),
    Setting("BASE_PATH", "/fhir", "path", "where the FHIR base is mounted in the Flask application"),
    Setting("BASE_URL", "", "URL",
            "the base as clients see it, if a proxy is in between; empty: taken from the request"),
    Setting("RESOURCE_TYPES", "", "types", "the resource types served, separated by blanks; empty: all of R4"),
    Setting("WORKERS", True, "on/off", "run the matcher and the dispatcher inside the web process"),
    Setting("UPDATE_CREATES", True, "on/off", "PUT to an unknown id creates it (off: 405)"),
    Setting("REQUIRE_IF_MATCH", False, "on/off", "PUT and PATCH of an existing resource need If-Match (without: 400)"),
    Setting("REFERENCES_MUST_EXIST", False, "on/off", "refuse references to resources that this server does not hold"),
    Setting("MAX_BODY_BYTES", 5 * 1024 * 1024, "bytes", "largest request body"),
    Setting("MAX_BUNDLE_ENTRIES", 1000, "entries", "largest batch or transaction"),
    Setting("MAX_PAGE", 1000, "resources", "largest _count; a larger one is lowered to it"),
    Setting("DEFAULT_PAGE", 50, "resources", "page size of search and history without _count"),
    Setting("PAYLOAD_MODE", "post", "post | update",
            "rest-hook with payload: POST to the endpoint, or PUT endpoint/Type/id"),
    Setting("ALLOWED_NETWORKS", "", "CIDRs", "networks that endpoints may be in although they are not public, "
            "separated by blanks; there http:// will do"),
    Setting("ALLOW_HTTP", False, "on/off", "deliver to http:// endpoints outside ALLOWED_NETWORKS; off: https:// only"),
    Setting("ENDPOINT_PORTS", "80 443 1024-65535", "ports", "ports that endpoints may use"),
    Setting("RETRY_SCHEDULE_S", "5 300 1800 7200 18000 36000 50400 72000 86400", "seconds",
            "pauses between the attempts of one notification; after the last the subscription is off"),
    Setting("RETRY_FLOOR_S", 60.0, "seconds", "shortest pause after a timeout, 429, 502, 503 or 504",
            zero=True),
    Setting("MAX_BACKLOG_EVENTS", 100_000, "events",
            "a subscription that fails with more waiting is off; they are parked"),
    Setting("MAX_BACKLOG_DAYS", 7, "days",
            "a subscription that fails with events older than this is off; they are parked"),
    Setting("ATTEMPT_TIMEOUT_S", 15.0, "seconds", "wall-clock limit of one delivery attempt"),
    Setting("EVENT_DAYS", 30, "days",
            "how long matched changes and delivered events are kept for $replay; 0: for ever", zero=True),
    Setting("ATTEMPT_DAYS", 14, "days", "how long the log of attempts is kept; 0: for ever", zero=True),
    Setting("LEASE_S", 30.0, "seconds", "after which another dispatcher takes over what a dead one held"),
    Setting("IN_FLIGHT", 512, "notifications", "most deliveries under way at once in one dispatcher"),
    Setting("HOST_IN_FLIGHT", 256, "notifications",
            "most of them to one host and port, so that a hanging one costs others nothing"),
    Setting("HOST_RATE", 1000.0, "per second", "most requests of one process to one host and port; 0: any number",
            zero=True),
    Setting("EXTRA_CA_FILE", "", "path",
            "PEM file of certificate authorities that endpoints may have beside the public ones"),
    Setting("CLIENT_CERTIFICATE_FILE", "", "path", "PEM file of the certificate shown to endpoints that ask for one"),
    Setting("CLIENT_KEY_FILE", "", "path", "PEM file of its key; empty: it is in the same file"),
    Setting("MATCH_BATCH", 256, "changes", "most changes matched in one transaction"),
    Setting("SWEEP_S", 2.0, "seconds", "how often an idle worker looks for what a lost wake-up left behind"),
    Setting("METRICS_PATH", "/metrics", "path", "metrics for Prometheus, outside BASE_PATH; empty: none"),
    Setting("HEALTH_PATH", "/health", "path", "below it /live and /ready, outside BASE_PATH; empty: none"),
    Setting("LOG_FORMAT", "text", "text | json", "how `fhirsub serve` and `fhirsub worker` log, on stderr"),
    Setting("LOG_LEVEL", "WARNING", "DEBUG | INFO | WARNING | ERROR", "what they log"),
    Setting("CHANNEL_TIMEOUT_S", 60.0, "seconds",
            "after which a channel of your own that has not returned is left behind"),
    Setting("WEBSOCKET_PATH", "/websocket", "path", "the websocket, below BASE_PATH; empty: none"),
    Setting("WEBSOCKET_PING_S", 25.0, "seconds", "server ping interval; a peer that misses one is closed"),
    Setting("WEBSOCKET_MESSAGE_BYTES", 1024, "bytes", "longest message that a websocket client may send"),
    Setting("WEBSOCKET_BINDS", 100, "binds", "most subscriptions bound on one socket"),
    Setting("WEBSOCKET_IDLE_S", 30.0, "seconds", "a socket that binds nothing is closed after this"),
    Setting("WEBSOCKET_ORIGINS", "", "origins", "web pages that may open a websocket, beside those of the server's own "
            "host, separated by blanks (https://app.example.org); *: all"),
    Setting("WEBSOCKET_CONNECTIONS", 10_000, "sockets", "most websockets open in one process; more get 503 with "
            "Retry-After"),
    Setting("SMTP_HOST", "", "address", "the mail server; empty: no channel email"),
    Setting("SMTP_PORT", 587, "port", "port of the mail server"),
    Setting("SMTP_TLS", "starttls", "starttls | tls | none", "how the connection to the mail server is made safe"),
    Setting("SMTP_USER", "", "name", "user name at the mail server; empty: no login"),
    Setting("SMTP_PASSWORD", "", "text", "password at the mail server"),
    Setting("SMTP_SENDER", "", "address", "who mails come from"),
    Setting("EMAIL_DOMAINS", "", "domains", "domains that mails may go to, separated by blanks; empty: the sender's; "
            "*: all"),
    Setting("EMAIL_PER_HOUR", 60, "mails", "most mails an hour for one subscription; more wait"),
    Setting("SECRET_KEY", "", "Fernet key",
            "encrypts the secret channel headers; empty: kept in SECRET_KEY_FILE, made once"),
    Setting("SECRET_KEY_FILE", "fhirsub.key", "path", "where the generated key is kept (mode 0600)"),
)

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}

_CENTURY = {"days": 36_525, "seconds": 36_525 * 86_400}  # far from now there is no date any more to compare with


class Config:
    """The settings as attributes in lower case: ``config.max_body_bytes``.

    :param given: ``{"PORT": 8080, …}``; wins over the environment (``FHIRSUB_PORT``), which wins over the default
    :raises ValueError: an unknown name, or a value of the wrong kind; names the setting and what would do
    """

    def __init__(self, given: Mapping[str, Any] = {}, environ: Mapping[str, str] = os.environ):
        known = {setting.name for setting in SETTINGS}
        unknown = [name for name in given if name not in known]
        if unknown:
            raise ValueError(f"unknown setting FHIRSUB_{unknown[0]}; the settings are listed in README.rst")
        for setting in SETTINGS:
            value = given.get(setting.name, environ.get(f"FHIRSUB_{setting.name}", setting.default))
            setattr(self, setting.name.lower(), _checked(setting, _typed(setting, value)))

    @classmethod
    def of_flask(cls, app_config: Mapping[str, Any], *, given: Mapping[str, Any] = {},
                 environ: Mapping[str, str] = os.environ) -> Config:
        """Read the ``FHIRSUB_*`` keys of a Flask application's config; what is ``given`` wins over them."""
        prefix = "FHIRSUB_"
        configured = {key[len(prefix):]: value for key, value in app_config.items() if key.startswith(prefix)}
        return cls(configured | dict(given), environ)


def _typed(setting: Setting, value: Any) -> Any:
    kind = type(setting.default)
    choices = setting.unit.split(" | ")
    if len(choices) > 1 and value not in choices:
        raise ValueError(f"FHIRSUB_{setting.name}: expected {setting.unit}; got {value!r}")
    if isinstance(value, kind):
        return value
    try:
        if kind is bool:
            text = str(value).strip().lower()
            if text not in _TRUE | _FALSE:
                raise ValueError
            return text in _TRUE
        return kind(value)
    except (TypeError, ValueError):
        wanted = {bool: "on or off", int: "a whole number", float: "a number", str: "text"}[kind]
        raise ValueError(f"FHIRSUB_{setting.name}: expected {wanted} ({setting.unit}), got {value!r}") from None


def _checked(setting: Setting, value: Any) -> Any:
    """Refuse a number that would stop the server, or let it spin, instead of limiting something."""
    if type(setting.default) not in (int, float):
        return value
    if not (0 <= value < math.inf and (value or setting.zero)):
        wanted = "of at least" if setting.zero else "above"
        raise ValueError(f"FHIRSUB_{setting.name}: expected a number {wanted} 0 ({setting.unit}), got {value!r}")
    if value > (most := _CENTURY.get(setting.unit, math.inf)):
        raise ValueError(f"FHIRSUB_{setting.name}: expected a number of at most {most} ({setting.unit}), got {value!r}")
    return value
