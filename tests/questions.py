"""Resources and criteria about them, made up by hypothesis from small pools so that they often meet."""
from decimal import Decimal
from urllib.parse import quote

from hypothesis import strategies as st

from fhirsub.fhir.criteria import probe_keys
from fhirsub.fhir.criteria.escapes import escape
from fhirsub.fhir.criteria.keys import access, needed_keys

BASE = "http://example.org/fhir"

SYSTEMS = ["http://loinc.org", "http://acme.org/a|b", "urn:oid:1.2", ""]
CODES = ["a", "A", "ab", "a,b", "a|b", "a$b", "ä", "x\\y", "100%", "é_"]
TEXTS = ["Anna", "ANNA Maria", "Ánna", "ann", "o'Neil", "Straße", "a_b", "50% off", "x, y", "日本", "anna" * 200]
DATES = ["2020", "2020-02", "2020-02-29", "2020-02-29T10:00:00Z", "2020-02-29T10:00:00.123Z", "2020-03-01T00:30:00+01:00", "2021"]
IDS = ["1", "2", "p-1.x"]
VERSIONS = ["", "1", "1.0", "1.1", "2"]
URLS = ["http://acme.org/fhir/X", "http://acme.org/fhir/X/1", "http://acme.org/fhir/", "urn:oid:1.2.3", BASE + "/Y/1",
        "http://acme.org/" + "long/" * 150]
NUMBERS = ["0", "-0.0", "5", "5.0", "5.4", "5.40", "5.45", "5.449", "5.35", "-5.4", "-5.45", "4.9", "100", "1e2", "1E-3",
           "99.5", "0.00541", "123456789012345678901234567890.1", "123456789012345678901234567890.2"]
STORED = [*NUMBERS, "1e400", "-1e400", "1e-400", "5." + "4" * 400, "5.4" + "0" * 400 + "1", "1e6000", "-1e-6000"]
UNITS = ["mg", "g", "a|b", ""]
PREFIXES = ["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]

_one = st.sampled_from


def _some(strategy):
    return st.lists(strategy, max_size=2)


def _object(**parts):
    """An object with some of these elements; empty ones are left out, as R4 has them."""
    return st.fixed_dictionaries({}, optional=parts).map(
        lambda found: {name: value for name, value in found.items() if value not in ("", [], {})})


codings = _object(system=_one(SYSTEMS), code=_one(CODES), display=_one(TEXTS))
concepts = _object(coding=_some(codings), text=_one(TEXTS))
identifiers = _object(system=_one(SYSTEMS), value=_one(CODES), type=concepts)
periods = _object(start=_one(DATES[:4]), end=_one(DATES[4:]))
decimals = st.one_of(_one(STORED).map(Decimal), st.decimals(-200, 200, places=2))
quantities = _object(value=decimals, comparator=_one(["<", ">=", ""]), system=_one(SYSTEMS), code=_one(UNITS),
                     unit=_one(UNITS))
ranges = _object(low=quantities, high=quantities)
spots = _object(start=st.integers(0, 5), end=st.integers(3, 8))


def references(*types):
    local = st.builds("{}/{}".format, _one(types), _one(IDS))
    links = st.one_of(local, local.map((BASE + "/").__add__), local.map("http://other.org/fhir/".__add__),
                      st.builds("{}/_history/{}".format, local, _one(VERSIONS[1:])), st.just("urn:uuid:7"))
    return _object(reference=links, identifier=identifiers)


canonicals = st.builds(lambda url, version: f"{url}|{version}" if version else url, _one(URLS), _one(VERSIONS))
metas = _object(profile=_some(canonicals), tag=_some(codings), security=_some(codings), source=_one(URLS))

RESOURCES = {
    "Patient": dict(meta=metas, active=st.booleans(), gender=_one(["male", "female"]), identifier=_some(identifiers),
                    name=_some(_object(family=_one(TEXTS), given=_some(_one(TEXTS)))), birthDate=_one(DATES[:3]),
                    telecom=_some(_object(system=st.just("email"), value=_one(CODES))),
                    generalPractitioner=_some(references("Practitioner", "Organization")),
                    managingOrganization=references("Organization")),
    "Observation": dict(meta=metas, status=_one(["final", "amended"]), code=concepts, category=_some(concepts),
                        subject=references("Patient", "Group", "Device"), effectivePeriod=periods,
                        valueString=_one(TEXTS), performer=_some(references("Practitioner", "Patient")),
                        valueQuantity=quantities, valueCodeableConcept=concepts, valueDateTime=_one(DATES),
                        component=_some(_object(code=concepts, valueQuantity=quantities, valueCodeableConcept=concepts))),
    "RiskAssessment": dict(prediction=_some(_object(probabilityDecimal=decimals, probabilityRange=ranges))),
    "Condition": dict(onsetAge=quantities, abatementRange=ranges, code=concepts),
    "MolecularSequence": dict(variant=_some(spots), referenceSeq=_object(
        chromosome=concepts, windowStart=st.integers(0, 5), windowEnd=st.integers(3, 8))),
    "Group": dict(characteristic=_some(_object(
        code=concepts, valueCodeableConcept=concepts, valueBoolean=st.booleans()))),
    "DocumentReference": dict(description=_one(TEXTS), relatesTo=_some(_object(
        code=_one(["replaces", "appends"]), target=references("DocumentReference")))),
    "ValueSet": dict(useContext=_some(_object(
                         code=codings, valueCodeableConcept=concepts, valueQuantity=quantities, valueRange=ranges)),
                     url=_one(URLS), version=_one(VERSIONS), name=_one(TEXTS), title=_one(TEXTS), date=_one(DATES),
                     status=_one(["active", "draft"]), identifier=_some(identifiers), jurisdiction=_some(concepts)),
    "QuestionnaireResponse": dict(questionnaire=canonicals, authored=_one(DATES[3:6]), status=st.just("completed"),
                                  identifier=identifiers, source=references("Patient", "Practitioner"))}


def _escaped(pool):
    return _one(pool).filter(bool).map(escape)


_token = st.one_of(_escaped(CODES), st.builds("{}|{}".format, _escaped(SYSTEMS), _escaped(CODES)),
                   _escaped(CODES).map("|".__add__), st.builds("{}|".format, _escaped(SYSTEMS)))
_type = st.builds("{}|{}|{}".format, _escaped(SYSTEMS), _escaped(CODES), _escaped(CODES))
_string = st.one_of(_escaped(TEXTS[:-1]), _one(TEXTS).map(lambda text: escape(text[:4])))
_inside = st.one_of(_string, st.builds(lambda text, start, length: escape(text[start:][:length].strip()), _one(TEXTS),
                                       st.integers(0, 3), st.integers(2, 9)).filter(bool))
_words = _one(["anna", "Maria ANNA", "neil", "o", "strasse", "50", "日本", "anna" * 200])
_date = st.builds("{}{}".format, _one(PREFIXES), _one(DATES))
_number = st.builds("{}{}".format, _one(PREFIXES), st.one_of(
    _one(NUMBERS), st.decimals(-200, 200, places=1).map("{:f}".format)))
_quantity = st.one_of(_number, st.builds("{}|{}|{}".format, _number, _one(SYSTEMS).map(escape), _one(UNITS).map(escape)))
_spot = st.builds("{}{}".format, _one(PREFIXES), _one("0123456"))
_missing = _one(["true", "false"])
_canonical = canonicals.map(lambda text: "|".join(map(escape, text.split("|"))))


def _reference(*types):
    local = st.builds("{}/{}".format, _one(types), _one(IDS))
    return st.one_of(_one(IDS), local, local.map((BASE + "/").__add__), local.map("http://other.org/fhir/".__add__),
                     st.builds("{}/_history/{}".format, local, _one(VERSIONS[1:])))


def _asked(name, kind, *types):
    """Strategies of ``(name:modifier, values)`` for a parameter of this kind."""
    kinds = {
        "token": {"": _token, ":not": _token, ":text": _string, ":of-type": _type},
        "string": {"": _string, ":exact": _escaped(TEXTS), ":contains": _inside},
        "words": {"": _words},
        "date": {"": _date}, "number": {"": _number}, "quantity": {"": _quantity}, "code": {"": _token, ":not": _token},
        "uri": {"": _canonical, ":below": _escaped(URLS[:3]), ":above": _escaped(URLS[:3])},
        "url": {"": _escaped(URLS), ":below": _escaped(URLS[:3]), ":above": _escaped(URLS[:3])},
        "reference": {"": _reference(*types) if types else None, ":identifier": _token},
        "canonical": {"": _canonical, ":below": _canonical},
        "email": {"": _escaped(CODES), ":not": _escaped(CODES)},
        "id": {"": _one(IDS), ":not": _one(IDS)}}
    found = [st.tuples(st.just(name + modifier), st.lists(values, min_size=1, max_size=2))
             for modifier, values in kinds[kind].items()]
    return st.one_of(*found, st.tuples(st.just(name + ":missing"), _missing.map(lambda text: [text])))


def _composite(name, *components):
    """As :func:`_asked`; a composite has no modifiers."""
    values = st.tuples(*components).map("$".join)
    return st.tuples(st.just(name), st.lists(values, min_size=1, max_size=2))


_COMMON = [_asked("_id", "id"), _asked("_tag", "token"), _asked("_security", "token"), _asked("_profile", "uri"),
           _asked("_source", "url"), _asked("_content", "words")]
QUESTIONS = {
    "Patient": [*_COMMON, _asked("identifier", "token"), _asked("family", "string"), _asked("name", "string"),
                _asked("birthdate", "date"), _asked("email", "email"), _asked("gender", "code"), _asked("active", "email"),
                _asked("organization", "reference", "Organization"),
                _asked("general-practitioner", "reference", "Practitioner", "Organization")],
    "Observation": [*_COMMON, _asked("code", "token"), _asked("category", "token"), _asked("date", "date"),
                    _asked("value-string", "string"), _asked("patient", "reference", "Patient"),
                    _asked("subject", "reference", "Patient", "Group"), _asked("performer", "reference", "Practitioner"),
                    _asked("value-quantity", "quantity"), _asked("combo-value-quantity", "quantity"),
                    _composite("code-value-quantity", _token, _quantity), _composite("code-value-concept", _token, _token),
                    _composite("component-code-value-quantity", _token, _quantity),
                    _composite("component-code-value-concept", _token, _token),
                    _composite("combo-code-value-quantity", _token, _quantity),
                    _composite("code-value-string", _token, _string), _composite("code-value-date", _token, _date)],
    "RiskAssessment": [_asked("probability", "number")],
    "Condition": [_asked("onset-age", "quantity"), _asked("abatement-age", "quantity"), _asked("code", "token")],
    "MolecularSequence": [_asked("window-start", "number"), _asked("variant-end", "number"),
                          _composite("chromosome-variant-coordinate", _token, _spot, _spot),
                          _composite("chromosome-window-coordinate", _token, _spot, _spot)],
    "Group": [_composite("characteristic-value", _token, _token), _asked("characteristic", "token"),
              _asked("value", "token")],
    "DocumentReference": [_asked("description", "string"), _asked("relatesto", "reference", "DocumentReference"),
                          _composite("relationship", _one(["replaces", "appends"]), _reference("DocumentReference"))],
    "ValueSet": [_composite("context-type-quantity", _token, _quantity), _composite("context-type-value", _token, _token),
                 _asked("url", "url"), _asked("version", "email"), _asked("name", "string"), _asked("title", "string"),
                 _asked("date", "date"), _asked("identifier", "token"), _asked("jurisdiction", "token")],
    "QuestionnaireResponse": [_asked("questionnaire", "canonical"), _asked("authored", "date"),
                              _asked("identifier", "token"), _asked("source", "reference", "Patient")]}


def resources(resource_type):
    """A resource of the type, as far as search looks at it; not always valid R4."""
    return st.builds(lambda id, found: {"resourceType": resource_type, "id": id, **found}, _one(IDS),
                     _object(**RESOURCES[resource_type]))


def criteria(resource_type):
    """The text of a criteria that is supported, percent-encoded."""
    return st.lists(st.one_of(*QUESTIONS[resource_type]), min_size=1, max_size=3).map(
        lambda asked: resource_type + "?" + "&".join(f"{name}={quote(','.join(values))}" for name, values in asked))


def cases():
    """``(text of a criteria, resource)`` of one type."""
    return _one(sorted(RESOURCES)).flatmap(lambda kind: st.tuples(criteria(kind), resources(kind)))


def probes(asked, values):
    """Where a resource looks if this criteria is the only one in use."""
    found = access(asked.predicates)
    return probe_keys(values).union(*(needed_keys(values, need) for need in found.needs) if found else ())
