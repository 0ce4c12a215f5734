"""history of a resource, a type, the system. Spec: https://hl7.org/fhir/R4/http.html#history, reliability C3.9"""
import time

import pytest
from fhir_client import BASE, assert_refused, client, observation, patient  # noqa: F401

from fhirsub.fhir.validation import check


@pytest.fixture
def written(client):
    """A Patient created, updated, deleted and revived; and an Observation."""
    stored = client.create(patient(gender="male"))
    path = f"Patient/{stored['id']}"
    client.put(path, stored | {"gender": "female"})
    client.delete(path)
    client.put(path, patient(id=stored["id"]))
    client.create(observation())
    return path


def versions(bundle):
    return [entry["response"]["etag"] for entry in bundle.get("entry", [])]


def test_history_of_a_resource_is_newest_first(client, written):
    """C3.9: newest first; deletes have request.method DELETE and no resource"""
    bundle = client.get(f"{written}/_history").resource
    check(bundle, "Bundle")
    assert bundle["type"] == "history" and bundle["total"] == 4
    assert versions(bundle) == ['W/"4"', 'W/"3"', 'W/"2"', 'W/"1"']
    assert [entry["request"]["method"] for entry in bundle["entry"]] == ["PUT", "DELETE", "PUT", "POST"]
    assert [entry["request"]["url"] for entry in bundle["entry"]] == [written, written, written, "Patient"]
    assert ["resource" in entry for entry in bundle["entry"]] == [True, False, True, True]
    assert [entry["response"]["status"][:3] for entry in bundle["entry"]] == ["201", "204", "200", "201"]
    assert {entry["fullUrl"] for entry in bundle["entry"]} == {f"{BASE}/{written}"}
    assert bundle["entry"][2]["resource"]["gender"] == "female"


@pytest.mark.parametrize("path, total", [("Patient/_history", 4), ("Observation/_history", 1), ("_history", 5),
                                         ("Encounter/_history", 0)])
def test_history_of_a_type_and_of_the_system(client, written, path, total):
    """C3.9: history instance/type/system"""
    bundle = client.get(path).resource
    assert bundle["total"] == total == len(bundle.get("entry", []))


def test_history_of_unknown_is_404(client):
    assert_refused(client.get("Patient/nobody/_history"), 404)


def test_history_of_deleted_is_there(client):
    path = f"Patient/{client.create(patient())['id']}"
    client.delete(path)
    assert client.get(f"{path}/_history").resource["total"] == 2


@pytest.mark.parametrize("path", ["_history", "Patient/_history", "{written}/_history"])
def test_history_pages_follow_their_links(client, written, path):
    """C3.9: _count"""
    url, seen = path.format(written=written) + "?_count=2&_format=json", []
    while url:
        bundle = client.get(url).resource
        assert len(bundle["entry"]) <= 2
        seen += [(entry["fullUrl"], entry["response"]["etag"]) for entry in bundle["entry"]]
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        assert links["self"].startswith(f"{BASE}/{path.format(written=written)}?_count=2")
        url = links.get("next", "").removeprefix(BASE + "/")
        assert not url or "_format=json" in url
    assert len(seen) == len(set(seen)) == bundle["total"]


def test_history_pages_are_stable_under_inserts(client, written):
    first = client.get("_history?_count=2").resource
    client.create(patient())
    following = next(link["url"] for link in first["link"] if link["relation"] == "next")
    second = client.get(following.removeprefix(BASE + "/")).resource
    assert versions(first) + versions(second) == ['W/"1"', 'W/"4"', 'W/"3"', 'W/"2"']


def test_history_with_count_0_answers_the_total(client, written):
    bundle = client.get(f"{written}/_history?_count=0").resource
    assert bundle["total"] == 4 and "entry" not in bundle


def test_history_since_leaves_out_what_is_older(client, written):
    """C3.9: _since"""
    time.sleep(0.005)
    stored = client.create(patient())
    moment = stored["meta"]["lastUpdated"]
    bundle = client.get(f"_history?_since={moment}").resource
    assert bundle["total"] == 1 and bundle["entry"][0]["resource"] == stored
    assert client.get("_history?_since=2001-01-01T00:00:00Z").resource["total"] == 6


def test_history_at_shows_what_was_current_then(client):
    """C3.9: _at"""
    stored = client.create(patient())
    path = f"Patient/{stored['id']}"
    time.sleep(0.005)
    changed = client.put(path, stored | {"gender": "male"}).resource
    time.sleep(0.005)
    client.delete(path)
    bundle = client.get(f"{path}/_history?_at={changed['meta']['lastUpdated']}").resource
    assert 'W/"2"' in versions(bundle) and 'W/"3"' not in versions(bundle)
    assert client.get(f"{path}/_history?_at={changed['meta']['lastUpdated'][:4]}").resource["total"] == 3
    assert client.get(f"{path}/_history?_at=2001-01-01").resource["total"] == 0
    assert client.get(f"{path}/_history?_at=9999").status_code == 200


@pytest.mark.parametrize("query", ["_since=yesterday", "_since=2024-01-01", "_since=", "_at=x", "_at=", "_count=x",
                                   "_count=-1", "_count=", "_cursor=x", "_cursor=9-9"])
def test_history_refuses_what_it_cannot_read(client, query):
    assert_refused(client.get(f"_history?{query}"), 400)


def test_history_ignores_or_refuses_unknown_parameters(client, written):
    response = client.get("_history?nonsense=1")
    assert response.status_code == 200 and "nonsense" not in str(response.resource["link"])
    assert_refused(client.get("_history?nonsense=1", Prefer="handling=strict"), 400, "nonsense")
