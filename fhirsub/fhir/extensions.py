"""URLs of the extensions that this server reads and writes beyond R4 itself."""

_BASE = "http://fhirsub.org/StructureDefinition/"

# On Subscription.channel: valueCode "post" | "update", how rest-hook sends a payload; without it PAYLOAD_MODE holds.
PAYLOAD_MODE = _BASE + "payload-mode"

# On Subscription.channel: valueCode "strict" | "parallel", whether several notifications may be under way at once.
ORDERING = _BASE + "ordering"

# On Subscription.channel: valueString, the secret that notifications are signed with (whsec_…); read as whsec_***.
SIGNATURE = _BASE + "signature"

# On Subscription: valueReference to an EventDefinition that it subscribes to, as at the connectathon; in order.
# On EventDefinition: the events that it is composed of.
TOPICS = "http://hl7.org/fhir/subscription/topics"

# On the valueReference of TOPICS: valueCode union | intersect | except | filter.
OPERATOR = _BASE + "topic-operator"

# On Subscription: a parameter of the filters that it uses, with the nested extensions "name" (valueString) and "value".
PARAMETER = _BASE + "topic-parameter"

# On Subscription: valueReference to a compartment, Group or List that the resource must belong to; repeated: to any.
COMPARTMENT = _BASE + "compartment"

# On Subscription and EventDefinition: valueCode enter | update | leave | delete; repeated.
TRANSITIONS = _BASE + "transition"

# On EventDefinition: valueBoolean true, its condition narrows the events of others and it has none of its own.
FILTER = _BASE + "topic-filter"

# On CapabilityStatement.rest.resource of Subscription: an event that a client can subscribe to, with the nested
# extensions "definition" (valueReference), "canonical", "name", "title", and repeated "type", "compartment", "filter".
EVENT = _BASE + "capabilitystatement-event"

# The same of a filter, with "definition", "canonical", "name", "title", and a "parameter" for each that it takes.
EVENT_FILTER = _BASE + "capabilitystatement-event-filter"
