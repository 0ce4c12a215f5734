"""The status that the server itself sets: a new version of the Subscription, through the same log as any write.

Spec: https://hl7.org/fhir/R4/subscription.html#status
"""
from __future__ import annotations

from ..store import versions

UNUSABLE = "it cannot be switched on: "  # how the error text begins until what the Subscription names is there again
MAX_ERROR_CHARACTERS = 1024  # it is read by people, and stored with each version


def set_status(tx, subscription_id, status, error=None, *, now):
    """Write ``status`` and ``error`` as a new version of the Subscription, if they differ from what stands there.

    A Subscription that is deleted, or that somebody switched off, stays as it is.

    :param status: ``active`` | ``error`` | ``off``
    :param error: text for the owner, without secrets or patient data; None removes it
    :returns: whether a version was written
    """
    if _changed(versions.current(tx, "Subscription", subscription_id), status, error) is None:
        return False    # and nothing is locked, for the matcher may come to others
    current = versions.lock(tx, "Subscription", subscription_id)
    changed = _changed(current, status, error)
    if changed is None:
        return False
    versions.write(tx, changed, now=now, base_url=current.base_url or "")
    return True


def _changed(current, status, error):
    """The Subscription as it is to be; None if it stays as it is."""
    if current is None or current.deleted or current.resource["status"] == "off":
        return None
    changed = {name: value for name, value in current.resource.items() if name != "error"} | {"status": status}
    if error:
        changed["error"] = error[:MAX_ERROR_CHARACTERS]
    return None if changed == current.resource else changed


def unusable(resource):
    """Whether a Subscription waits for what it names, such as an EventDefinition that is not active."""
    return resource.get("error", "").startswith(UNUSABLE)
