"""The text of one mail."""
from datetime import datetime, timezone

import pytest

from fhirsub.delivery.channels.mail import compose, subject
from fhirsub.delivery.notification import Notification

NARRATIVE = ('{"resourceType":"Observation","text":{"status":"generated","div":'
             '"<div xmlns=\\"http://www.w3.org/1999/xhtml\\">'
             '<h1>Haemoglobin</h1><p>7.20&#160;g/dL &lt; 8</p>\\n  <p><b>low</b></p></div>"}}')


def text_of(content, **more):
    stored = {"id": "s1", "channel": {"type": "email", "endpoint": "mailto:a@b.org", "payload": "text/plain"}}
    notification = Notification(stored, 7, 42, 1, "Observation", "o1", "3", "update", content, **more)
    now = datetime(2026, 3, 1, tzinfo=timezone.utc)
    return compose(notification, sender="fhir@b.org", recipient="a@b.org", now=now).get_content()


def test_text_is_the_narrative():
    assert text_of(NARRATIVE) == "Observation/o1 version 3 (update)\n\nHaemoglobin\n7.20 g/dL < 8\nlow\n"


def test_text_is_the_json_when_there_is_no_narrative():
    assert text_of('{"valueDecimal":1.00}') == 'Observation/o1 version 3 (update)\n\n{"valueDecimal":1.00}\n'


@pytest.mark.parametrize("content", [None, NARRATIVE])
def test_text_names_the_resource_only_when_it_left(content):
    assert text_of(content, transition="leave") == "Observation/o1 version 3 (leave)\n"


@pytest.mark.parametrize("lines, told", [
    ([], ""), (["News"], "News"), (["Subject: News"], "News"), (["subject:News", " of today "], "News of today"),
    (["Re: News"], "Re: News"), ([""], "")])
def test_subject_is_the_header_lines(lines, told):
    assert subject({"header": lines}) == told
