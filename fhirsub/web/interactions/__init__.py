"""One file for each FHIR interaction; an HTTP request and an entry of a Bundle run the same code."""
