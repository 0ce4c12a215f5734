"""The doors of the server: FHIR over HTTP, and the websocket."""
