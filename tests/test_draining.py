"""A stop waits for requests, and for nothing else. Spec: https://www.rfc-editor.org/rfc/rfc9112#name-tear-down"""
import http.client

from live import FHIR, Client, Live, observation


def test_stop_answers_what_is_under_way_and_ends_idle_connections(sqlite_url, tmp_path):
    with Live(sqlite_url, tmp_path) as live:
        under_way = http.client.HTTPConnection("127.0.0.1", live.port, timeout=30)
        under_way.putrequest("POST", "/fhir/Patient")
        under_way.putheader("Content-Type", FHIR)
        under_way.putheader("Content-Length", "26")
        under_way.endheaders(b'{"resourceType"')
        idle = Client(live)
        idle.create(observation())
        live.process.terminate()
        assert idle.connection.sock.recv(1) == b""  # ended, while the other one is still waited for
        under_way.send(b':"Patient"}')
        assert under_way.getresponse().status == 201
        assert live.process.wait(30) == 0
