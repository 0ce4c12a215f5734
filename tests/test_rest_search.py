"""search by GET and POST. Spec: https://hl7.org/fhir/R4/search.html, reliability C3.11"""
import pytest
from fhir_client import BASE, assert_refused, client, identified, make_client, observation, patient  # noqa: F401

from fhirsub.fhir.validation import check


@pytest.fixture
def five(client):
    return [client.create(identified(str(number), gender="male", name=[{"family": f"F{number}"}])) for number in range(5)]


def ids(bundle):
    return [entry["resource"]["id"] for entry in bundle.get("entry", []) if entry["search"]["mode"] == "match"]


def link(bundle, relation):
    return next((one["url"] for one in bundle["link"] if one["relation"] == relation), None)


def pages(client, url):
    """Each page's Bundle, following the next links."""
    while url:
        bundle = client.get(url.removeprefix(f"{BASE}/")).resource
        yield bundle
        url = link(bundle, "next")


def test_search_answers_a_searchset(client, five):
    """C3.11: search GET"""
    bundle = client.get("Patient?identifier=urn:mrn|3").resource
    check(bundle, "Bundle")
    assert bundle["type"] == "searchset" and bundle["total"] == 1
    assert bundle["entry"] == [{"fullUrl": f"{BASE}/Patient/{five[3]['id']}", "resource": five[3], "search": {"mode": "match"}}]
    assert link(bundle, "self") == f"{BASE}/Patient?identifier=urn:mrn%7C3"


def test_search_that_finds_nothing_has_no_entry(client):
    bundle = client.get("Patient?gender=male").resource
    check(bundle, "Bundle")
    assert bundle["total"] == 0 and "entry" not in bundle


def test_search_by_post_is_the_same(client, five):
    """C3.11: … and POST _search; parameters of the URL and of the body count together"""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    response = client.post("Patient/_search?gender=male", "identifier=urn%3Amrn%7C3&_count=7", **form)
    assert ids(response.resource) == [five[3]["id"]]
    assert link(response.resource, "self") == f"{BASE}/Patient?gender=male&identifier=urn:mrn%7C3&_count=7"
    assert client.post("Patient/_search", "", **form).resource["total"] == 5


def test_search_by_post_reads_forms_only(client):
    assert_refused(client.post("Patient/_search", {"resourceType": "Parameters"}), 415, "x-www-form-urlencoded")


def test_search_pages_follow_their_links(client, five):
    """C3.11: self and next links"""
    bundles = list(pages(client, "Patient?gender=male&_count=2&_sort=-_lastUpdated"))
    assert [len(ids(bundle)) for bundle in bundles] == [2, 2, 1]
    assert {id for bundle in bundles for id in ids(bundle)} == {stored["id"] for stored in five}
    assert all(bundle["total"] == 5 for bundle in bundles)
    assert all("_count=2" in link(bundle, "self") and "gender=male" in link(bundle, "self") for bundle in bundles)


def test_search_pages_are_stable_under_inserts(client, five):
    """C3.11: stable paging under inserts"""
    found = []
    for bundle in pages(client, "Patient?_count=2&_sort=-_lastUpdated"):
        found += ids(bundle)
        client.create(patient())
    assert sorted(found) == sorted(stored["id"] for stored in five)


def test_search_page_has_no_more_than_the_limit(database):
    """C3.11: _count max 1,000"""
    client = make_client(database, MAX_PAGE=3, DEFAULT_PAGE=2)
    for _ in range(5):
        client.create(patient())
    assert len(ids(client.get("Patient?_count=100").resource)) == 3
    assert len(ids(client.get("Patient").resource)) == 2


@pytest.mark.parametrize("query", ["_count=0", "_summary=count", "_summary=count&_count=3", "_count=0&_total=none"])
def test_search_counts(client, five, query):
    """C3.11: (0 = count); _summary count"""
    bundle = client.get(f"Patient?{query}").resource
    assert bundle["total"] == 5 and "entry" not in bundle and link(bundle, "next") is None


@pytest.mark.parametrize("total, there", [("none", False), ("estimate", True), ("accurate", True)])
def test_search_leaves_out_the_total_when_asked(client, five, total, there):
    """C3.11: _total"""
    assert ("total" in client.get(f"Patient?_total={total}").resource) == there


@pytest.mark.parametrize("query, there, gone", [
    ("_summary=true", {"id", "meta", "name", "gender"}, {"text", "photo"}),
    ("_summary=text", {"id", "meta", "text"}, {"name", "gender", "photo"}),
    ("_summary=data", {"id", "meta", "name", "gender", "photo"}, {"text"}),
    ("_elements=gender,name", {"id", "meta", "name", "gender"}, {"text", "photo"}),
])
def test_search_sends_parts_tagged_subsetted(client, query, there, gone):
    """C3.11: _summary true/text/data/count with SUBSETTED; _elements"""
    div = '<div xmlns="http://www.w3.org/1999/xhtml">A</div>'
    client.create(patient(text={"status": "generated", "div": div}, name=[{"family": "A"}], gender="male",
                          photo=[{"url": "http://example.org/a.png"}], meta={"tag": [{"code": "mine"}]}))
    part = client.get(f"Patient?{query}").resource["entry"][0]["resource"]
    assert there <= set(part) and not gone & set(part)
    assert [tag["code"] for tag in part["meta"]["tag"]] == ["mine", "SUBSETTED"]


def test_unknown_parameter_is_ignored_and_said_so(client, five):
    """C3.11: unknown parameter: … lenient ignored and left out of self"""
    for prefer in ("", "handling=lenient"):
        bundle = client.get("Patient?nonsense=1&gender=male", Prefer=prefer).resource
        assert bundle["total"] == 5 and link(bundle, "self") == f"{BASE}/Patient?gender=male"
        warning = bundle["entry"][-1]
        assert warning["search"]["mode"] == "outcome" and "nonsense" in warning["resource"]["issue"][0]["diagnostics"]
        check(bundle, "Bundle")


def test_unknown_parameter_is_refused_when_asked(client):
    """C3.11: unknown parameter: strict 400"""
    assert_refused(client.get("Patient?nonsense=1", Prefer="handling=strict"), 400, "nonsense")
    assert_refused(client.get("Patient?nonsense:exact=1", Prefer="handling=strict"), 400, "nonsense")


@pytest.mark.parametrize("query, words", [
    ("birthdate=x", "birthdate"), ("gender:nonsense=male", "nonsense"), ("_has:Observation:code=1", "_has"),
    ("_filter=x", "_filter"), ("_text=-", "_text"), ("_content:exact=x", "_content"), ("organization.nonsense=x", "nonsense"), ("gender=", "gender"),
    ("_sort=height", "_sort"), ("_count=x", "_count"), ("_summary=x", "_summary"), ("_total=x", "_total"),
    ("_cursor=x", "page"), ("_cursor=W10", "page")])
def test_search_refuses_what_it_cannot_answer(client, query, words):
    """Ignoring a filter would answer too much, so it is never done."""
    assert_refused(client.get(f"Patient?{query}"), 400, words)


def test_search_finds_and_sorts_by_quantity(client):
    for value in (7, 9, 8):
        client.create(observation(valueQuantity={"value": value, "unit": "g/dL"}))
    found = client.get("Observation?value-quantity=gt7||g/dL&_sort=-value-quantity").resource["entry"]
    assert [entry["resource"]["valueQuantity"]["value"] for entry in found] == [9, 8]


@pytest.mark.parametrize("sort", ["_lastUpdated", "-_lastUpdated", "_id", "-_id", "-_id,_lastUpdated", ",".join(["_id"] * 900)])
def test_search_sorts(client, five, sort):
    found = client.get(f"Patient?_sort={sort}").resource["entry"]
    key = (lambda entry: entry["resource"]["id"]) if "_id" in sort else (lambda entry: entry["resource"]["meta"]["lastUpdated"])
    assert [key(entry) for entry in found] == sorted(map(key, found), reverse=sort.startswith("-"))


def test_search_finds_only_the_type(client, five):
    client.create(observation())
    assert client.count("Observation") == 1
    assert client.count("Patient?_lastUpdated=gt2001-01-01") == 5


def test_search_with_bytes_that_are_no_text_is_refused(client, five):
    assert_refused(client.request("GET", "Patient", environ_overrides={"QUERY_STRING": "family=\xff"}), 400, "UTF-8")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert_refused(client.post("Patient/_search", b"family=\xff", **form), 400, "UTF-8")


@pytest.mark.parametrize("query", ["family=%00", "_id=%00", "identifier=%00|x", "identifier=x|%00", "link=%00", "_profile=%00"])
def test_search_for_a_null_character_finds_nothing_or_is_refused(client, five, query):
    assert client.get(f"Patient?{query}").status_code in (200, 400)


def test_search_with_too_many_parameters_is_refused(client):
    assert_refused(client.get("Patient?" + "&".join(["gender=male"] * 501)), 400, "500")
