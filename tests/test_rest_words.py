"""_text and _content over HTTP and in Subscriptions. Spec: https://hl7.org/fhir/R4/search.html#text"""
import pytest
from fhir_client import client, make_client, observation  # noqa: F401
from pipeline import Pipeline

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def narrative(words):
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{words}</p></div>'}


def patient(id, words):
    return {"resourceType": "Patient", "id": id, "text": narrative(words), "name": [{"family": id}]}


@pytest.fixture
def ward(client):
    """Eve, whose narrative says more than Otto's, and a value of hers."""
    for id, words in (("eve", "Severe <b>heart</b> failure"), ("otto", "Heart murmur")):
        client.put(f"Patient/{id}", patient(id, words))
    seen = observation("718-7", id="1", subject={"reference": "Patient/eve"}, text=narrative("Café"))
    client.put("Observation/1", seen)
    return client


@pytest.mark.parametrize(("query", "expected"), [
    ("Patient?_text=heart", ["eve", "otto"]), ("Patient?_text=failure+heart", ["eve"]), ("Patient?_text=fail", []),
    ("Patient?_text=failure,murmur", ["eve", "otto"]), ("Patient?_text=heart&_text=murmur", ["otto"]),
    ("Patient?_text=otto", []), ("Patient?_content=OTTO+heart", ["otto"]), ("Patient?_text:missing=true", []),
    ("Patient?_content=heart&family=eve", ["eve"]), ("Observation?patient._text=severe", ["1"]),
    ("Observation?patient._content=murmur", []), ("Patient?_has:Observation:patient:_text=cafe", ["eve"]),
    ("Patient/eve/Observation?_text=cafe", ["1"]), ("Patient/eve/Observation?_content=tea", []),
    ("?_text=severe,cafe", ["1", "eve"]), ("?_type=Patient,Observation&_content=cafe", ["1"])])
def test_search_finds_words(ward, query, expected):
    path, _, asked = query.partition("?")
    for found in (ward.get(query), ward.post(f"{path}/_search".lstrip("/"), asked.encode(), **FORM)):
        assert sorted(entry["resource"]["id"] for entry in found.resource.get("entry", ())) == expected, found.text


def test_subscription_is_notified_of_words(database):
    pipeline = Pipeline(database)
    pipeline.subscribe("Patient?_text=failure heart,murmur&_content=eve")
    pipeline.subscribe("Observation?patient._text=failure", id="chained")
    pipeline.match()
    for id, words in (("eve", "Heart <i>failure</i>"), ("otto", "Heart failure"), ("eve", "well"), ("eve", "A murmur")):
        pipeline.write(patient(id, words))
    for id, who in (("1", "eve"), ("2", "otto")):
        pipeline.write(observation(id=id, subject={"reference": f"Patient/{who}"}))
    pipeline.match()
    assert pipeline.names() == ["Patient/eve/1", "Patient/eve/3"]
    assert pipeline.names("chained") == ["Observation/2/1"]


def test_explain_shows_the_words(database):
    pipeline, client = Pipeline(database), make_client(database)
    client.server.now = pipeline.clock
    pipeline.subscribe("Patient?_text=maria")
    pipeline.match()
    pipeline.write(patient("1", "Zoë, <b>Anna</b>"))
    told = client.get("Subscription/sub/$explain?resource=Patient/1").resource["parameter"]
    assert {"name": "predicate", "part": [
        {"name": "parameter", "valueString": "_text"}, {"name": "asked", "valueString": "maria"},
        {"name": "found", "valueString": "zoe anna"}, {"name": "match", "valueBoolean": False}]} in told


def test_statement_lists_words_as_strings(client):
    listed = client.get("metadata").resource["rest"][0]["resource"][0]["searchParam"]
    published = "http://hl7.org/fhir/SearchParameter/"
    assert {"name": "_text", "definition": f"{published}DomainResource-text", "type": "string"} in listed
    assert {"name": "_content", "definition": f"{published}Resource-content", "type": "string"} in listed
