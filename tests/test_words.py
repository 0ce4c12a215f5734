"""_text and _content, in memory and in SQL. Spec: https://hl7.org/fhir/R4/search.html#text"""
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_search import NOW, found, ids, patients, write

import fhirsub
from fhirsub.errors import UnsupportedCriteria
from fhirsub.fhir.criteria import parse
from fhirsub.fhir.criteria.words import MAX_WORDS
from fhirsub.fhir.definitions import structures
from fhirsub.fhir.search_values import SearchValues, words
from fhirsub.fhir.search_values.text import text
from fhirsub.store import versions
from fhirsub.store.search import find

WORDS = ["Anna", "ANNA", "ann", "Zoë", "zoe", "Straße", "strasse", "a_b", "a%b", "axb", "follow-up", "7.5", "日本", "İ",
         "ﬁ"]
GAPS = [" ", "-", "<br/>", "&amp;", "&nbsp;", "</b><i class='x'>", "\n", "_", "%", "\\"]

divs = st.lists(st.sampled_from(WORDS + GAPS), max_size=6).map(lambda parts: f"<div>{''.join(parts)}</div>")
bodies = st.builds(lambda div, family, city: {"resourceType": "Patient", "text": {"status": "generated", "div": div},
                                              "name": [{"family": family}], "address": [{"city": city}]},
                   divs, st.sampled_from(WORDS), st.sampled_from(WORDS))
operands = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(lambda words: quote(" ".join(words)))
questions = st.builds(lambda name, values: f"Patient?{name}={','.join(values)}", st.sampled_from(["_text", "_content"]),
                      st.lists(operands, min_size=1, max_size=2)) | st.sampled_from(
    ["Patient?_text:missing=true", "Patient?_text:missing=false", "Patient?_content:missing=true"])


def patient(div="", **elements):
    xhtml = f'<div xmlns="http://www.w3.org/1999/xhtml">{div}</div>'
    return {"resourceType": "Patient", "id": "1", **({"text": {"status": "generated", "div": xhtml}} if div else {}),
            **elements}


FACE = {"contentType": "image/png", "data": "anna", "hash": "zoe", "title": "face"}


def bundle(*resources):
    entries = [{"resource": one} for one in resources]
    return {"resourceType": "Bundle", "id": "1", "type": "collection", "entry": entries}


@pytest.mark.parametrize(("div", "asked", "matches"), [
    ("<p>Anna <b>Maria</b></p>", "maria", True),
    ("<p>Anna</p>", "p", False),                        # tags and their attributes are no text
    ("<p class='red'>Anna</p>", "red", False), ("Anna", "xhtml", False),
    ("<p>one</p><p>two</p>", "two", True), ("<p>one</p><p>two</p>", "onetwo", False),
    ("salt &amp; caf&#233;", "cafe", True), ("a&lt;b&gt;c", "b", True), ("salt &amp; pepper", "amp", False),
    ("Zoë ÁNNA", "zoe", True), ("Zoe Anna", "ZO%C3%8B %C3%A1nna", True),
    ("Straße", "STRASSE", True), ("strasse", "Stra%C3%9Fe", True),
    ("Anna", "ann", False), ("Anna", "nna", False),     # whole words
    ("Anna Maria", "maria anna", True), ("Anna Maria", "anna zoe", False),
    ("Anna Maria", "anna%2Bmaria", True),
    ("Anna", "zoe,anna", True), ("Anna", "zoe,maria anna", False), ("a,b", r"a\,b", True),
    ("follow-up", "follow-up", True), ("follow-up", "up", True), ("follow up", "follow-up", True),
    ("followup", "follow-up", False),
    ("7.5 mg", "7.5", True), ("120", "120", True), ("1200", "120", False),
    ("a_b", "a_b", True), ("axb", "a_b", False), ("a_b", "a", False), ("100% sure", "100%25 sure", True),
    ("sure", "s%25e", False),
    ("日本", "日本", True), ("salt and pepper", "and", True)])
def test_text_matches_whole_words_of_the_narrative(database, div, asked, matches):
    body = patient(div)
    assert fhirsub.matches(f"Patient?_text={asked}", body) is matches
    assert fhirsub.matches(f"Patient?_content={asked}", body) is matches
    with database.write() as tx:
        write(tx, body)
        assert found(tx, f"Patient?_text={asked}") == ["1"] * matches


@pytest.mark.parametrize(("body", "asked", "matches"), [
    (patient("seen", name=[{"family": "Levin", "given": ["Anna"]}]), "anna levin seen", True),
    (patient(contained=[{"resourceType": "Organization", "id": "o", "name": "Acme"}]), "acme", True),
    (patient(_birthDate={"extension": [{"url": "http://acme.org/x", "valueString": "about noon"}]}), "noon", True),
    (patient(birthDate="1970-02-03"), "1970", True), (patient(gender="male"), "male", True),
    (patient(), "patient", False), (patient(meta={"tag": [{"display": "vip"}]}), "vip", False),
    (patient(photo=[FACE]), "anna", False), (patient(photo=[FACE]), "zoe", False),
    (patient(photo=[FACE]), "face", True),
    (patient(multipleBirthInteger=7), "7", False),
    ({"resourceType": "Binary", "id": "1", "contentType": "text/plain", "data": "anna"}, "anna", False),
    (bundle(patient("<p>Anna</p>")), "anna", True), (bundle(patient("<p>Anna</p>")), "p", False)])
def test_content_matches_every_string_but_bytes(database, body, asked, matches):
    question = f"{body['resourceType']}?_content={asked}"
    assert fhirsub.matches(question, body) is matches
    with database.write() as tx:
        write(tx, body)
        assert found(tx, question) == ["1"] * matches


def test_text_is_the_narrative_alone():
    body = patient("seen", name=[{"family": "Levin"}])
    assert fhirsub.matches("Patient?_text=seen", body)
    assert not fhirsub.matches("Patient?_text=levin", body)
    assert not fhirsub.matches("Bundle?_text=x", {"resourceType": "Bundle", "type": "collection"})


def test_content_leaves_out_every_base64_element_of_r4():
    named = {name for kind in structures._DATA["types"] for name, found in structures.properties(kind).items()
             if found.type == "base64Binary"}
    assert named <= words._NO_TEXT


@pytest.mark.parametrize("body", [patient(text="seen"), patient(text={"div": 7}), patient(text={"div": ["seen"]})])
def test_text_of_what_is_no_narrative_finds_nothing(body):
    assert not fhirsub.matches("Patient?_text=seen", body)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(written=st.lists(bodies, min_size=1, max_size=5), asked=st.lists(questions, min_size=1, max_size=6))
def test_find_by_words_answers_as_criteria_test_does(database, written, asked):
    with database.engine.connect() as tx:
        tx.execution_options(fhirsub_writes=True)
        with tx.begin() as transaction:
            stored = [versions.write(tx, {**body, "id": str(number)}, now=NOW) for number, body in enumerate(written)]
            for one in map(parse, asked):
                expected = sorted(version.id for version in stored if one.test(SearchValues(version.resource)))
                assert sorted(ids(find(tx, one, count=100))) == expected, one.canonical()
            transaction.rollback()


def test_find_by_words_sees_the_current_version_only(database):
    with database.write() as tx:
        write(tx, patient("before"))
        write(tx, patient("after"))
        assert (found(tx, "Patient?_text=before"), found(tx, "Patient?_text=after")) == ([], ["1"])
        assert found(tx, "Patient?_text=after&gender:missing=true&_content=after") == ["1"]


def test_find_takes_as_many_words_as_parse_does(database):
    many = [f"w{number}" for number in range(MAX_WORDS)]
    with database.write() as tx:
        write(tx, patient(" ".join(many)), *patients("2"))
        assert found(tx, f"Patient?_text={'%20'.join(many)}") == ["1"]
        every = [f"v{number}%20v0" for number in range(399)]
        assert found(tx, f"Patient?_text={','.join([*every, 'w1 w0'])}") == ["1"]


@pytest.mark.parametrize(("asked", "told"), [
    ("_text=", "a value is empty"), ("_text=a,", "a value is empty"), ("_text=-", "no letter or digit"),
    ("_content=%25", "no letter or digit"), ("_text=(bone OR liver) and metastases", "'(' would be an operator"),
    ("_text=bone OR liver", "'OR' would be an operator"), ("_text=%22heart failure%22", "once more for AND"),
    ("_content=heart*", "'*' would be an operator"), ("_text:exact=x", "no such modifier for a fulltext parameter"),
    ("_content:contains=x", "_content:contains"), ("_text:not=x", "_text:not"), ("_text:missing=x", "true or false"),
    ("_text=" + "+".join(f"w{number}" for number in range(MAX_WORDS + 1)), f"at most {MAX_WORDS} different words")])
def test_parse_refuses_what_is_no_list_of_words(asked, told):
    with pytest.raises(UnsupportedCriteria) as refused:
        parse(f"Patient?{asked}")
    assert told in str(refused.value)


def test_equal_questions_about_words_are_one():
    asked = parse("Patient?_text=Zo%C3%AB Anna,b")
    assert asked.canonical() == "Patient?_text=anna%20zoe,b"
    assert parse(asked.canonical()) == asked == parse("Patient?_text=b,anna-zoe anna")
    assert asked.keys() == ("Patient?_text=word", "Patient?_text=word b", "Patient?_text=word zoe")


def test_sort_by_words_is_refused(database):
    with database.read() as tx, pytest.raises(UnsupportedCriteria, match="_sort=_text: a fulltext has no order"):
        find(tx, parse("Patient"), count=1, sort=["_text"])


def test_words_are_shown_with_a_limit():
    [every] = SearchValues(patient("Zoë, " + " ".join(map(str, range(1000)))))["_text"]
    assert text(every).startswith("zoe 0 1 2 ") and text(every).endswith(" …") and len(text(every)) <= 500
