"""FHIRPath: what search parameters say is compiled to closures (plain), anything else goes to fhirpathpy (engine).

What clients say (expression) is vetted, then evaluated by closures or, beyond them, by fhirpathpy in a child (sandbox).
"""
