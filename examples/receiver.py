"""A rest-hook endpoint that prints what it is sent.

    python examples/receiver.py            # http://127.0.0.1:9000
"""
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SHOWN = ("Authorization", "Content-Type", "webhook-id", "webhook-timestamp", "X-FHIR-Event-Number")


class Endpoint(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        print(self.command, self.path)
        for name in SHOWN:
            if name in self.headers:
                print(f"  {name}: {self.headers[name]}")
        print(f"  {body.decode() or '(no content)'}\n", flush=True)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_PUT = do_POST

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9000
    print(f"waiting for notifications on http://127.0.0.1:{port}", flush=True)
    ThreadingHTTPServer(("127.0.0.1", port), Endpoint).serve_forever()
