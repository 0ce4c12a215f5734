"""FHIRPath: what search parameters say is compiled to closures (plain), anything else goes to fhirpathpy (engine)."""
