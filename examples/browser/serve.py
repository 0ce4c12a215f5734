"""A page that subscribes by websocket, and the FHIR server it talks to, in one Flask application.

    python examples/browser/serve.py            # http://127.0.0.1:5000

Page and FHIR base have one origin, so the browser needs no CORS headers, which this server does not send.
"""
import argparse
from pathlib import Path

from flask import Flask, send_from_directory

import fhirsub

FOLDER = Path(__file__).parent


def create_app(**settings):
    app = Flask("browser")
    fhirsub.FHIRSub(app, **settings).migrate()

    @app.get("/")
    def page():
        return send_from_directory(FOLDER, "index.html")

    @app.get("/page.js")
    def script():
        return send_from_directory(FOLDER, "page.js")

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=5000, help="(default %(default)s)")
    parser.add_argument("--database", default="sqlite:///browser.db", help="URL (default %(default)s)")
    options = parser.parse_args()
    create_app(DATABASE=options.database).run(port=options.port, threaded=True)
