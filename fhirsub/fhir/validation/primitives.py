"""The R4 primitive types: what their JSON values look like.

Spec: https://hl7.org/fhir/R4/datatypes.html#primitive, https://hl7.org/fhir/R4/json.html#primitive
"""
from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, NamedTuple

# Both engines must read a pattern alike (Python's re and Rust's regex), so no \s, \d or \S: they differ there.
_SPACE = r" \t\r\n\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_VISIBLE = rf"[^\x00-\x1f\x7f{_SPACE}]"
# R4 says SHOULD NOT for control characters; XML cannot carry them, nor PostgreSQL NUL, so they are refused.
_TEXT = rf"[{_SPACE}]*{_VISIBLE}[^\x00-\x08\x0b\x0c\x0e-\x1f]*"

# The pattern of R4, but with the days that each month really has, so that nothing behind the door meets 30 February.
_YEAR = "(?:[0-9](?:[0-9](?:[0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)"
_LEAP_YEAR = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_MONTH = "(?:0[1-9]|1[0-2])"
_DAY = (f"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
        f"|02-(?:0[1-9]|1[0-9]|2[0-8]))|{_LEAP_YEAR}-02-29)")
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_DATE = f"{_YEAR}|{_YEAR}-{_MONTH}|{_DAY}"

_BASE64 = "[A-Za-z0-9+/][ \\t\\r\\n]*"
_QUANTUM_END = f"(?:{_BASE64}){{2}}=[ \\t\\r\\n]*=[ \\t\\r\\n]*|(?:{_BASE64}){{3}}=[ \\t\\r\\n]*"

_INT_MAX = 2**31 - 1
# https://hl7.org/fhir/R4/datatypes.html#string: "SHALL NOT exceed 1MB (1024*1024 characters)"
_LONGEST_STRING = 1024 * 1024


class Primitive(NamedTuple):
    """One primitive type; ``wanted`` ends the sentence "expected …"."""

    json_type: str
    wanted: str
    pattern: str = ""
    least: int | None = None
    longest: int | None = None

    def schema(self) -> dict[str, Any]:
        """The JSON Schema (draft 4) of a value, ``{"type": "string", "pattern": "^(?:…)$"}``."""
        schema: dict[str, Any] = {"type": self.json_type}
        if self.pattern:
            schema["pattern"] = f"^(?:{self.pattern})$"
        if self.longest:
            schema["maxLength"] = self.longest
        if self.json_type == "integer":
            schema |= {"minimum": self.least, "maximum": _INT_MAX}
        return schema

    def fits(self, value: Any) -> bool:
        """Tell whether a decoded JSON value is one of this type; agrees with :meth:`schema`."""
        if self.json_type == "boolean":
            return isinstance(value, bool)
        if self.json_type == "integer":
            return type(value) is int and self.least <= value <= _INT_MAX
        if self.json_type == "number":
            return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)
        if not isinstance(value, str) or (self.longest and len(value) > self.longest):
            return False
        return re.fullmatch(self.pattern, value) is not None


_STRING = Primitive("string", "a string (not blank, no control characters, at most 1 MB)", _TEXT,
                    longest=_LONGEST_STRING)
_URI = Primitive("string", "a URI without blanks", f"{_VISIBLE}+")

PRIMITIVES = {
    "base64Binary": Primitive("string", "base64", f"[ \\t\\r\\n]*(?:(?:{_BASE64}){{4}})*(?:{_QUANTUM_END})?"),
    "boolean": Primitive("boolean", "true or false, without quotes"),
    "canonical": _URI,
    "code": Primitive("string", "a code without leading, trailing or double blanks",
                      f"{_VISIBLE}+(?:[{_SPACE}]{_VISIBLE}+)*"),
    "date": Primitive("string", "a date as YYYY, YYYY-MM or YYYY-MM-DD", _DATE),
    "dateTime": Primitive("string", "a date as YYYY, YYYY-MM or YYYY-MM-DD, or with a time and zone as "
                          "YYYY-MM-DDThh:mm:ss+zz:zz", f"{_DATE}|{_DAY}T{_TIME}{_ZONE}"),
    "decimal": Primitive("number", "a number, without quotes"),
    "id": Primitive("string", "an id of 1 to 64 characters out of A-Z, a-z, 0-9, - and .", "[A-Za-z0-9.-]{1,64}"),
    "instant": Primitive("string", "an instant as YYYY-MM-DDThh:mm:ss.sss+zz:zz", f"{_DAY}T{_TIME}{_ZONE}"),
    "integer": Primitive("integer", "a whole number of 32 bits, without quotes", least=-_INT_MAX - 1),
    "markdown": _STRING,
    "oid": Primitive("string", "an OID as urn:oid:1.2.3", r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+"),
    "positiveInt": Primitive("integer", "a whole number from 1 to 2147483647, without quotes", least=1),
    "string": _STRING,
    "time": Primitive("string", "a time as hh:mm:ss", _TIME),
    "unsignedInt": Primitive("integer", "a whole number from 0 to 2147483647, without quotes", least=0),
    "uri": _URI,
    "url": _URI,
    "uuid": Primitive("string", "a UUID as urn:uuid:… in lower case",
                      "urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    "xhtml": Primitive("string", "XHTML in a <div>, as a string", _TEXT),
}
