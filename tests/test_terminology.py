"""Value sets and code systems: which codes they hold, and what is refused by name."""
import pytest

from fhirsub.errors import UnsupportedCriteria
from fhirsub.fhir import terminology

S, T = "http://acme.org/s", "http://acme.org/t"
# a > b, c > d; a > c > d; z stands alone
TREE = {"resourceType": "CodeSystem", "url": S, "content": "complete", "property": [
    {"code": "kind", "type": "code"}, {"code": "level", "type": "integer"}, {"code": "rare", "type": "boolean"}], "concept": [
        {"code": "a", "display": "All", "concept": [
            {"code": "b", "display": "Beta", "property": [
                {"code": "kind", "valueCode": "x"}, {"code": "level", "valueInteger": 1}]},
            {"code": "c", "display": "Gamma", "property": [
                {"code": "kind", "valueCode": "y"}, {"code": "rare", "valueBoolean": True}], "concept": [
                    {"code": "d", "display": "Delta", "property": [{"code": "kind", "valueCode": "x"}]}]}]},
        {"code": "z", "display": "Zeta"}]}
# The same hierarchy, told by properties; d has two parents.
FLAT = {"resourceType": "CodeSystem", "url": T, "content": "complete", "property": [
    {"code": "parent", "type": "code"},
    {"code": "narrower", "uri": "http://hl7.org/fhir/concept-properties#child", "type": "code"}], "concept": [
        {"code": "a", "property": [{"code": "narrower", "valueCode": "b"}, {"code": "narrower", "valueCode": "c"}]},
        {"code": "b"}, {"code": "c"},
        {"code": "d", "property": [{"code": "parent", "valueCode": "b"}, {"code": "parent", "valueCode": "c"}]}]}


def value_set(url="http://acme.org/vs", **elements):
    return {"resourceType": "ValueSet", "url": url, **elements}


def composed(*include, exclude=(), url="http://acme.org/vs", **compose):
    return value_set(url, compose={"include": list(include), **({"exclude": list(exclude)} if exclude else {}), **compose})


def expanded(asked, *others, system=S):
    """The codes of a value set, those of ``system`` without it."""
    stored = {(one["resourceType"], one["url"]): one for one in (TREE, FLAT, asked, *others)}
    codes = terminology.expand(asked["url"], lambda kind, canonical: stored.get((kind, canonical)))
    return "".join(sorted(code if of == system else f"<{of}|{code}>" for of, code in codes))


def filtered(op, value, property="concept", system=S):
    return {"system": system, "filter": [{"property": property, "op": op, "value": value}]}


def only(*codes, system=S):
    return {"system": system, "concept": [{"code": code} for code in codes]}


@pytest.mark.parametrize("include, expected", [
    ([only("b", "q")], "bq"), ([{"system": S}], "abcdz"), ([only("b"), only("c", "b")], "bc"),
    ([only("b", system="urn:x")], "<urn:x|b>"),
    ([filtered("is-a", "c")], "cd"), ([filtered("descendent-of", "a")], "bcd"), ([filtered("is-not-a", "c")], "abz"),
    ([filtered("generalizes", "d")], "acd"), ([filtered("=", "x", "kind")], "bd"), ([filtered("=", "1", "level")], "b"),
    ([filtered("=", "true", "rare")], "c"), ([filtered("=", "c", "parent")], "d"), ([filtered("=", "d", "child")], "c"),
    ([filtered("=", "Delta", "display")], "d"), ([filtered("in", "x,y", "kind")], "bcd"),
    ([filtered("not-in", "x", "kind")], "acz"), ([filtered("exists", "true", "kind")], "bcd"),
    ([filtered("exists", "false", "kind")], "az"), ([filtered("regex", "[a-c]", "code")], "abc"),
    ([filtered("regex", ".*eta", "display")], "bz"), ([filtered("regex", "eta", "display")], ""),
    ([{"system": S, "filter": filtered("is-a", "a")["filter"] + filtered("=", "x", "kind")["filter"]}], "bd")])
def test_expand_includes(include, expected):
    assert expanded(composed(*include)) == expected


def test_expand_excludes_what_is_included_anywhere():
    assert expanded(composed({"system": S}, only("q"), exclude=[filtered("is-a", "c"), only("q")])) == "abz"


@pytest.mark.parametrize("code, below, above", [("a", "abcd", "a"), ("c", "cd", "ac"), ("d", "d", "abcd")])
def test_hierarchy_is_told_by_properties_too(code, below, above):
    assert expanded(composed(filtered("is-a", code, system=T)), system=T) == below
    assert expanded(composed(filtered("generalizes", code, system=T)), system=T) == above


def test_hierarchy_with_a_cycle_ends():
    cyclic = {"resourceType": "CodeSystem", "url": "urn:x", "content": "complete", "concept": [
        {"code": "a", "property": [{"code": "parent", "valueCode": "b"}]},
        {"code": "b", "property": [{"code": "parent", "valueCode": "a"}]}]}
    assert expanded(composed(filtered("is-a", "a", system="urn:x")), cyclic, system="urn:x") == "ab"


def test_expand_imports_and_intersects_within_an_include():
    left, right = composed(only("a", "b"), url="urn:l"), composed(only("b", "c"), url="urn:r")
    assert expanded(composed({"valueSet": ["urn:l"]}, {"valueSet": ["urn:r"]}), left, right) == "abc"
    assert expanded(composed({"valueSet": ["urn:l", "urn:r"]}), left, right) == "b"
    assert expanded(composed({"system": S, "valueSet": ["urn:r"]}), right) == "bc"
    assert expanded(composed({"system": S}, exclude=[{"valueSet": ["urn:l", "urn:r"]}]), left, right) == "acdz"


def test_expand_asks_for_the_version_that_is_named():
    asked = []
    with pytest.raises(UnsupportedCriteria):
        terminology.expand("urn:v|1", lambda *name: asked.append(name) or (
            composed({"system": S, "version": "2"}, url="urn:v") if name[0] == "ValueSet" else None))
    assert asked == [("ValueSet", "urn:v|1"), ("CodeSystem", f"{S}|2")]


CONTAINS = [{"system": S, "code": "a", "contains": [{"system": S, "code": "b"}]}, {"display": "group", "contains": [
    {"system": S, "code": "c", "abstract": True}, {"system": S, "code": "d"}]}]


def test_stored_expansion_is_taken_as_it_is():
    assert expanded(value_set(expansion={"contains": CONTAINS, "total": 5}, compose={"include": [only("z")]})) == "abd"


@pytest.mark.parametrize("part", [
    {"total": 6}, {"offset": 2}, {"parameter": [{"name": "filter", "valueString": "x"}]},
    {"parameter": [{"name": "count", "valueInteger": 2}]},
    {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/valueset-toocostly", "valueBoolean": True}]}])
def test_stored_expansion_that_is_a_part_is_not_taken(part):
    expansion = {"contains": CONTAINS, **part}
    assert expanded(value_set(expansion=expansion, compose={"include": [only("z")]})) == "z"
    with pytest.raises(UnsupportedCriteria, match="neither compose nor a complete expansion"):
        expanded(value_set(expansion=expansion))


@pytest.mark.parametrize("asked, words", [
    (composed({"system": "urn:x"}), "CodeSystem urn:x is not stored in this server; store it first"),
    (composed({"valueSet": ["urn:y"]}), "ValueSet urn:y is not stored"),
    (composed({}), "include or exclude without system"), (value_set(), "neither compose"),
    (composed(filtered("is-a", "q")), f"{S}: it has no code 'q'"),
    (composed(filtered("=", "q", "colour")), "no property 'colour'"),
    (composed(filtered("is-a", "a", "kind")), "about the property 'concept'; got 'kind'"),
    (composed(filtered("child-of", "a")), "filter with 'child-of'"),
    (composed(only("a"), inactive=False), "compose.inactive"),
    (composed(only("a"), lockedDate="2020-01-01"), "compose.lockedDate"),
    (composed(only("a"), modifierExtension=[{"url": "urn:m"}]), "modifierExtension"),
    (composed({"valueSet": ["http://acme.org/vs"]}), "includes itself: http://acme.org/vs → http://acme.org/vs"),
    (composed(only(*map(str, range(10_001)))), "more than 10000 codes"),
    (composed(*(only("a", system=f"urn:{number}") for number in range(101))), "codes of more than 100 systems")])
def test_what_cannot_be_expanded_is_refused_by_name(asked, words):
    with pytest.raises(UnsupportedCriteria, match=words.replace("(", r"\(")):
        expanded(asked)


@pytest.mark.parametrize("regex", ["(a+)+b", "(a|aa)*", r"(a)\1", "a*b*c*", "(?=a)a", "a" * 201, "["])
def test_regex_that_could_take_long_is_refused(regex):
    with pytest.raises(UnsupportedCriteria, match="regex"):
        expanded(composed(filtered("regex", regex, "code")))


def test_cycle_over_several_value_sets_is_named():
    with pytest.raises(UnsupportedCriteria, match="urn:a → urn:b → urn:a"):
        expanded(composed({"valueSet": ["urn:b"]}, url="urn:a"), composed({"valueSet": ["urn:a"]}, url="urn:b"))


def test_value_sets_that_import_each_other_many_times_are_expanded_once():
    chain = [composed(*[{"valueSet": [f"urn:{number + 1}"]}] * 9, url=f"urn:{number}") for number in range(50)]
    assert expanded(chain[0], *chain, composed(only("a"), url="urn:50")) == "a"


def test_too_many_value_sets_are_refused():
    chain = [composed({"valueSet": [f"urn:{number + 1}"]}, url=f"urn:{number}") for number in range(150)]
    with pytest.raises(UnsupportedCriteria, match="ValueSet urn:0: it is made of more than 100 value sets"):
        expanded(chain[0], *chain)


@pytest.mark.parametrize("content, words", [
    ({"content": "fragment"}, "content is 'fragment'"), ({"content": "complete", "compositional": True}, "grammar"),
    ({"content": "complete", "hierarchyMeaning": "part-of"}, "hierarchyMeaning is 'part-of'")])
def test_code_system_that_does_not_tell_is_refused(content, words):
    system = {"resourceType": "CodeSystem", "url": "urn:x", "concept": [{"code": "a"}], **content}
    with pytest.raises(UnsupportedCriteria, match=f"CodeSystem urn:x: .*{words}"):
        terminology.subsumed("urn:x", "a", "below", lambda *name: system)


def test_subsumed_holds_the_code_itself():
    assert terminology.subsumed(S, "c", "below", lambda *name: TREE) == {(S, "c"), (S, "d")}
    assert terminology.subsumed(S, "c", "above", lambda *name: TREE) == {(S, "c"), (S, "a")}
