"""Admission, discharge and transfer as event streams: what a hospital defines, and who follows which patients.

    python examples/adt_streams.py                                      # starts a server of its own
    python examples/adt_streams.py --base http://127.0.0.1:8080/fhir    # plays against a running one

The server has to accept endpoints on this machine, as ``fhirsub serve`` does while it listens on loopback.
Exits 1 if a scenario did not go as it should.
"""
import json
from contextlib import contextmanager

from connectathon import FHIR, App, main

TOPICS = "http://hl7.org/fhir/subscription/topics"
OURS = "http://fhirsub.org/StructureDefinition"
CLASSES = "http://terminology.hl7.org/CodeSystem/v3-ActCode"

# On a create %previous is empty, and so is %previous.status != 'in-progress', which is not true. Asked like this, a
# patient who comes in without having been planned is admitted too.
ADMITTED = "status = 'in-progress' and %previous.where(status = 'in-progress').empty()"
DISCHARGED = "status = 'finished' and %previous.where(status = 'finished').empty()"
TRANSFERRED = "status = 'in-progress' and location.location.reference != %previous.location.location.reference"


class Ward(App):
    """A clinical app that follows encounters, and at the same time the hospital that writes them."""

    def defines(self, id, expression, *extensions):
        """An EventDefinition about encounters; without an expression it is raised, or composed of others."""
        trigger = {"type": "named-event", "name": id}
        if expression:
            trigger |= {"data": [{"type": "Encounter"}],
                        "condition": {"language": "text/fhirpath", "expression": expression}}
        more = {"extension": list(extensions)} if extensions else {}
        self.sends("PUT", f"EventDefinition/{id}", {"resourceType": "EventDefinition", "id": id, "status": "active",
                                                    "name": id, "trigger": [trigger], **more})

    @contextmanager
    def follows(self, criteria, *extensions):
        """A Subscription with the resource as payload, deleted in the end."""
        made = self.sends("POST", "Subscription", {
            "resourceType": "Subscription", "status": "requested", "reason": "to know where my patients are",
            "criteria": criteria, "channel": {"type": "rest-hook", "endpoint": self.endpoint, "payload": FHIR},
            "extension": list(extensions)})
        try:
            yield
        finally:
            self.sends("DELETE", f"Subscription/{made['id']}")

    def encounters(self, patient, *statuses, ward="West", kind="IMP", **more):
        """An Encounter that goes through these statuses; returns the last version."""
        written = {"resourceType": "Encounter", "class": {"system": CLASSES, "code": kind},
                   "subject": {"reference": patient},
                   "location": [{"location": {"reference": f"Location/{ward}"}}], **more}
        for status in statuses:
            written |= {"status": status}
            method, path = ("PUT", f"Encounter/{written['id']}") if "id" in written else ("POST", "Encounter")
            written = self.sends(method, path, written)
        return written

    def hears_of(self, encounter, *, topic=None, event=None):
        """The next notification is about this encounter; returns its body."""
        headers, body = self.hears()
        found = headers["X-FHIR-Resource"].split("/")[1], headers.get("X-FHIR-Topic"), headers.get("X-FHIR-Event")
        expected = encounter["id"], topic, event
        assert found == expected, f"expected {expected}; got {found}"
        return json.loads(body) if body else None


def event(name, operator=None):
    """A reference in the list of events, and what it does with those before it."""
    extension = {"extension": [{"url": f"{OURS}/topic-operator", "valueCode": operator}]} if operator else {}
    return {"url": TOPICS, "valueReference": {"reference": name, **extension}}


def parameter(name, value):
    return {"url": f"{OURS}/topic-parameter", "extension": [{"url": "name", "valueString": name},
                                                            {"url": "value", "valueString": value}]}


def transition(code):
    return {"url": f"{OURS}/transition", "valueCode": code}


def events_are_defined(ward):
    """The hospital defines its events, and a client finds them in the CapabilityStatement."""
    ward.defines("patient-admit", ADMITTED)
    ward.defines("patient-discharge", DISCHARGED)
    ward.defines("patient-transfer", TRANSFERRED)
    ward.defines("emergency", "class.code = 'EMER'")
    ward.defines("of-class", "class.code = %class", {"url": f"{OURS}/topic-filter", "valueBoolean": True})
    ward.defines("patient-moved", None, event("patient-admit"), event("patient-transfer"), event("patient-discharge"))
    ward.defines("bed-cleaned", None)
    [rest] = ward.sends("GET", "metadata")["rest"]
    [listed] = (one["extension"] for one in rest["resource"] if one["type"] == "Subscription")
    names = {part["valueString"] for one in listed for part in one["extension"] if part["url"] == "name"}
    assert names >= {"Firehose", "patient-admit", "patient-moved", "of-class"}


def admission_by_patient(ward):
    """Admissions of one patient, who was planned or came unplanned; nobody else's, and no later edit."""
    with ward.follows("Patient/anna", event("patient-admit")):
        ward.encounters("Patient/bert", "planned", "in-progress")
        planned = ward.encounters("Patient/anna", "planned", "in-progress", "in-progress")
        unplanned = ward.encounters("Patient/anna", "in-progress", kind="EMER")
        assert ward.hears_of(planned, topic="patient-admit")["meta"]["versionId"] == "2"
        ward.hears_of(unplanned, topic="patient-admit")
        ward.hears_nothing()


def discharge_by_care_team(ward):
    """Discharges of the patients of a care team, a Group whose members are followed as they change."""
    team = {"resourceType": "Group", "id": "team", "type": "person", "actual": True,
            "member": [{"entity": {"reference": "Patient/anna"}}]}
    ward.sends("PUT", "Group/team", team)
    with ward.follows("Group/team", event("patient-discharge")):
        ward.hears_of(ward.encounters("Patient/anna", "in-progress", "finished"), topic="patient-discharge")
        ward.encounters("Patient/bert", "in-progress", "finished")
        team["member"].append({"entity": {"reference": "Patient/bert"}})
        team["member"][0]["inactive"] = True
        ward.hears_nothing()    # membership counts as it is when a write is matched
        ward.sends("PUT", "Group/team", team)
        ward.encounters("Patient/anna", "in-progress", "finished")
        ward.hears_of(ward.encounters("Patient/bert", "in-progress", "finished"), topic="patient-discharge")


def transfer_by_general_practitioner(ward):
    """Transfers of any patient that belongs to one general practitioner."""
    for name, doctor in (("carl", "dora"), ("emil", "fred")):
        ward.sends("PUT", f"Patient/{name}", {"resourceType": "Patient", "id": name, "generalPractitioner": [
            {"reference": f"Practitioner/{doctor}"}]})
    with ward.follows("Encounter?patient.general-practitioner=Practitioner/dora", event("patient-transfer")):
        for name in ("emil", "carl"):
            moved = ward.encounters(f"Patient/{name}", "in-progress")
            moved["location"] = [{"location": {"reference": "Location/East"}}]
            ward.sends("PUT", f"Encounter/{moved['id']}", moved)
        ward.hears_of(moved, topic="patient-transfer")


def union(ward):
    """Admissions and discharges in one stream: a source adds its events."""
    with ward.follows("Patient/gina", event("patient-admit"), event("patient-discharge")):
        stay = ward.encounters("Patient/gina", "planned", "in-progress", "finished")
        ward.hears_of(stay, topic="patient-admit")
        ward.hears_of(stay, topic="patient-discharge")


def composition(ward):
    """The same by one name: an EventDefinition that is composed of others."""
    with ward.follows("Patient/hugo", event("patient-moved")):
        stay = ward.encounters("Patient/hugo", "planned", "in-progress", "finished")
        for _ in range(2):
            ward.hears_of(stay, topic="patient-moved")


def intersect(ward):
    """Admissions that are emergencies: both events at once."""
    with ward.follows("Patient/ines", event("patient-admit"), event("emergency", "intersect")):
        ward.encounters("Patient/ines", "in-progress")
        ward.encounters("Patient/ines", "in-progress", kind="EMER")
        headers, _ = ward.hears()
        assert set(headers["X-FHIR-Topic"].split(", ")) == {"patient-admit", "emergency"}


def difference(ward):
    """Admissions but for the emergencies."""
    with ward.follows("Patient/jana", event("patient-admit"), event("emergency", "except")):
        ward.encounters("Patient/jana", "in-progress", kind="EMER")
        ward.hears_of(ward.encounters("Patient/jana", "in-progress"), topic="patient-admit")


def filter_with_a_parameter(ward):
    """Admissions of one class: a filter of the hospital's, whose parameter the client gives."""
    with ward.follows("Patient/kuno", event("patient-admit"), event("of-class"), parameter("class", "AMB")):
        ward.encounters("Patient/kuno", "in-progress")
        ward.hears_of(ward.encounters("Patient/kuno", "in-progress", kind="AMB"), topic="patient-admit")


def leave_and_delete(ward):
    """What drops off a list: encounters that are no longer in progress, or are deleted; told without their content."""
    with ward.follows("Encounter?status=in-progress&patient=Patient/lena", transition("leave"), transition("delete")):
        left = ward.encounters("Patient/lena", "in-progress", "finished")
        [entry] = ward.hears_of(left, event="leave")["entry"]
        assert entry["request"] == {"method": "PUT", "url": f"Encounter/{left['id']}"} and "resource" not in entry
        gone = ward.encounters("Patient/lena", "in-progress")
        ward.sends("DELETE", f"Encounter/{gone['id']}")
        [entry] = ward.hears_of(gone, event="delete")["entry"]
        assert entry["request"]["method"] == "DELETE" and "resource" not in entry


def raised_by_name(ward):
    """What no write shows is raised by who knows: a bed was cleaned for an encounter."""
    stay = ward.encounters("Patient/mona", "planned")
    with ward.follows("Patient/mona", event("bed-cleaned")):
        ward.sends("POST", "EventDefinition/bed-cleaned/$raise", {"resourceType": "Parameters", "parameter": [
            {"name": "focus", "valueReference": {"reference": f"Encounter/{stay['id']}"}},
            {"name": "context", "valueReference": {"reference": "Location/West"}}]})
        ward.hears_of(stay, topic="bed-cleaned", event="raise")


SCENARIOS = (events_are_defined, admission_by_patient, discharge_by_care_team, transfer_by_general_practitioner, union,
             composition, intersect, difference, filter_with_a_parameter, leave_and_delete, raised_by_name)

if __name__ == "__main__":
    main(SCENARIOS, __doc__.splitlines()[0], Ward)
