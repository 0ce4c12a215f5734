"""URLs of the extensions that this server reads and writes beyond R4 itself."""

# On Subscription.channel: valueCode "post" | "update", how rest-hook sends a payload; without it PAYLOAD_MODE holds.
PAYLOAD_MODE = "http://fhirsub.org/StructureDefinition/payload-mode"

# On Subscription: the events it subscribes to, the connectathon's way. Refused until EventDefinitions are evaluated.
TOPICS = "http://hl7.org/fhir/subscription/topics"
