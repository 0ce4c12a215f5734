"""A FHIR R4 server for Flask whose subject is the Subscription.

    from flask import Flask
    from fhirsub import FHIRSub

    app = Flask(__name__)
    FHIRSub(app)

Names are imported when first used, so that ``fhirsub serve`` can prepare the process before anything opens a socket.
"""
from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "FHIRSub": "fhirsub.extension",
    "create_app": "fhirsub.extension",
    "record": "fhirsub.extension",
    "raise_event": "fhirsub.extension",
    "matches": "fhirsub.matching",
    "Change": "fhirsub.store.changes",
    "Notification": "fhirsub.delivery.notification",
    "TryLater": "fhirsub.delivery.channels",
    "GiveUp": "fhirsub.delivery.channels",
    "SetAside": "fhirsub.delivery.channels",
    "FHIRSubError": "fhirsub.errors",
    "UnsupportedCriteria": "fhirsub.errors",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module 'fhirsub' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
