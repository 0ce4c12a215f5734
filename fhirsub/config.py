"""Every setting: one line each, from ``create_app`` arguments, Flask config or the environment as ``FHIRSUB_<NAME>``."""
from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple


class Setting(NamedTuple):
    name: str
    default: Any
    unit: str
    meaning: str


SETTINGS = (
    Setting("DATABASE", "sqlite:///fhirsub.db", "URL", "where everything is kept: SQLite or PostgreSQL (postgresql://…)"),
    Setting("CONNECTIONS", 20, "connections", "most database connections of one process"),
    Setting("HOST", "", "address", "where the web processes listen; `fhirsub serve` takes 127.0.0.1. Endpoints on loopback "
            "are allowed only if this is a loopback address"),
    Setting("PORT", 8080, "port", "port that `fhirsub serve` listens on; 0 takes a free one"),
    Setting("BASE_PATH", "/fhir", "path", "where the FHIR base is mounted in the Flask application"),
    Setting("BASE_URL", "", "URL", "the base as clients see it, if a proxy is in between; empty: taken from the request"),
    Setting("RESOURCE_TYPES", "", "types", "the resource types served, separated by blanks; empty: all of R4"),
    Setting("WORKERS", True, "on/off", "run the matcher and the dispatcher inside the web process"),
    Setting("UPDATE_CREATES", True, "on/off", "PUT to an unknown id creates it (off: 405)"),
    Setting("REQUIRE_IF_MATCH", False, "on/off", "PUT and PATCH of an existing resource need If-Match (without: 400)"),
    Setting("REFERENCES_MUST_EXIST", False, "on/off", "refuse references to resources that this server does not hold"),
    Setting("MAX_BODY_BYTES", 5 * 1024 * 1024, "bytes", "largest request body"),
    Setting("MAX_BUNDLE_ENTRIES", 1000, "entries", "largest batch or transaction"),
    Setting("MAX_PAGE", 1000, "resources", "largest _count; a larger one is lowered to it"),
    Setting("DEFAULT_PAGE", 50, "resources", "page size of search and history without _count"),
    Setting("PAYLOAD_MODE", "post", "post | update", "rest-hook with payload: POST to the endpoint, or PUT endpoint/Type/id"),
    Setting("ALLOWED_NETWORKS", "", "CIDRs", "networks that endpoints may be in although they are not public, separated "
            "by blanks; there http:// will do"),
    Setting("ALLOW_HTTP", False, "on/off", "deliver to http:// endpoints outside ALLOWED_NETWORKS; off: https:// only"),
    Setting("ENDPOINT_PORTS", "80 443 1024-65535", "ports", "ports that endpoints may use"),
    Setting("RETRY_SCHEDULE_S", "5 300 1800 7200 18000 36000 50400 72000 86400", "seconds",
            "pauses between the attempts of one notification; after the last the subscription is off"),
    Setting("RETRY_FLOOR_S", 60.0, "seconds", "shortest pause after a timeout, 429, 502, 503 or 504"),
    Setting("ATTEMPT_TIMEOUT_S", 15.0, "seconds", "wall-clock limit of one delivery attempt"),
    Setting("LEASE_S", 30.0, "seconds", "after which another dispatcher takes over what a dead one held"),
    Setting("IN_FLIGHT", 256, "notifications", "most deliveries under way at once in one dispatcher"),
    Setting("MATCH_BATCH", 256, "changes", "most changes matched in one transaction"),
    Setting("SWEEP_S", 2.0, "seconds", "how often an idle worker looks for what a lost wake-up left behind"),
    Setting("WEBSOCKET_PATH", "/websocket", "path", "the websocket, below BASE_PATH; empty: none"),
    Setting("WEBSOCKET_PING_S", 25.0, "seconds", "server ping interval; a peer that misses one is closed"),
    Setting("WEBSOCKET_MESSAGE_BYTES", 1024, "bytes", "longest message that a websocket client may send"),
    Setting("WEBSOCKET_BINDS", 100, "binds", "most subscriptions bound on one socket"),
    Setting("WEBSOCKET_IDLE_S", 30.0, "seconds", "a socket that binds nothing is closed after this"),
    Setting("SECRET_KEY", "", "Fernet key", "encrypts the secret channel headers; empty: kept in SECRET_KEY_FILE, made once"),
    Setting("SECRET_KEY_FILE", "fhirsub.key", "path", "where the generated key is kept (mode 0600)"),
)

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


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
            setattr(self, setting.name.lower(), _typed(setting, value))

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
