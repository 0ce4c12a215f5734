"""One mail: what an email Subscription's owner reads of an event.

Spec: https://hl7.org/fhir/R4/subscription.html, https://www.rfc-editor.org/rfc/rfc5322,
https://www.rfc-editor.org/rfc/rfc3834
"""
from __future__ import annotations

import html
import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from . import rendering

_TAG = re.compile(r"<[^>]*>")
_BLOCK = re.compile(r"</(?:p|div|tr|li|h[1-6])>|<br\s*/?>", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t\r\n\xa0]+")


def compose(notification, *, sender, recipient, now):
    """The mail of a notification; the same event gives the same Message-ID at every attempt.

    Without payload it says that something happened, and nothing of what: mail is read on the way.

    :param sender: address in From; likewise ``recipient`` in To
    :param now: aware UTC datetime
    :returns: :class:`email.message.EmailMessage`
    :raises SetAside: no text can be made of the event
    """
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"] = Address(addr_spec=sender), Address(addr_spec=recipient)
    mail["Subject"] = subject(notification.channel) or f"FHIR Subscription {notification.subscription['id']}"
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{notification.id}.{notification.subscription['id']}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # no answering machine answers it
    mail["X-FHIR-Subscription"] = notification.subscription["id"]
    mail["X-FHIR-Event-Number"] = str(notification.event_number)
    with rendering():
        _fill(mail, notification)
    return mail


def subject(channel):
    """The Subject that ``Subscription.channel.header`` gives, "" if none: its lines, with or without ``Subject:``."""
    lines = (re.sub(r"^subject:", "", line.strip(), flags=re.IGNORECASE).strip() for line in channel.get("header", ()))
    return " ".join(line for line in lines if line)


def _fill(mail, notification):
    payload = notification.channel.get("payload")
    shown = notification.content is not None and not notification.gone
    if not payload:
        mail.set_content(_hint(notification))
    elif shown and "json" in payload.lower():
        maintype, _, subtype = payload.partition(";")[0].strip().partition("/")
        mail.set_content(notification.content.encode(), maintype=maintype, subtype=subtype, disposition="inline",
                         filename=f"{notification.type}.json")
    else:
        mail.set_content(_about(notification) + (_shown(notification) if shown else ""))


def _hint(notification):
    return (f"Event {notification.event_number} of your FHIR Subscription/{notification.subscription['id']} has come.\n"
            "Ask the server what is new: this mail carries no data.\n")


def _about(notification):
    return (f"{notification.type}/{notification.resource_id} version {notification.version_id} "
            f"({notification.transition or notification.interaction})\n")


def _shown(notification):
    """The version's narrative, or its JSON if it has none."""
    narrative = notification.resource.get("text", {}).get("div")
    return f"\n{_words(narrative) if narrative else notification.content}\n"


def _words(div):
    """The text of an XHTML narrative, a line for each block."""
    lines = _TAG.sub("", _BLOCK.sub("\0", div)).split("\0")
    said = (_BLANKS.sub(" ", html.unescape(line)).strip() for line in lines)
    return "\n".join(line for line in said if line)
