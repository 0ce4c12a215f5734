"""What the commands run: the gevent server, a worker process, a migration."""
from __future__ import annotations

import os
import resource
import signal
import threading

import click

from . import logs
from .extension import NAME, create_app

BACKLOG = 1024
DRAIN_S = 10  # requests under way may finish for this long


def serve(settings):
    """Serve until SIGTERM or SIGINT; one process, one greenlet a request or socket.

    :param settings: ``{"PORT": 8080, …}``
    """
    import gevent
    from gevent.pool import Pool

    from .draining import DrainingServer
    app = create_app(**{"HOST": os.environ.get("FHIRSUB_HOST") or "127.0.0.1"} | settings)
    fhirsub = app.extensions[NAME]
    logs.configure(fhirsub.config)
    fhirsub.migrate()
    _open_many_files()
    listener = listen(fhirsub.config.host, fhirsub.config.port)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, stopping.set)
    server = DrainingServer(listener, app, log=None, spawn=Pool())  # a pool, for stop() to wait for requests under way
    server.start()
    fhirsub.start()
    host, port = listener.getsockname()[:2]
    _say_where(fhirsub, f"{host}:{port}" if ":" not in host else f"[{host}]:{port}")
    stopping.wait()
    server.close()
    fhirsub.wind_down()
    server.stop(timeout=DRAIN_S)
    fhirsub.stop()


def work(settings):
    """Match and deliver until SIGTERM or SIGINT."""
    app = create_app(**settings | {"WORKERS": True})
    fhirsub = app.extensions[NAME]
    logs.configure(fhirsub.config)
    fhirsub.migrate()
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    fhirsub.start()
    click.echo(f"fhirsub worker, database {fhirsub.database.shown}")
    stopping.wait()
    fhirsub.stop()


def migrate(settings):
    """Upgrade the database and say which."""
    app = create_app(**settings)
    fhirsub = app.extensions[NAME]
    fhirsub.migrate()
    click.echo(f"{fhirsub.database.shown} has the tables of this version")


def listen(host, port):
    """A bound socket for the web server.

    :raises OSError: the address is taken or not ours; the text says so
    :raises ValueError: there is no such port
    """
    import socket
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Inherited; without it an answer waits 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise OSError(f"cannot listen on {host}:{port}: {error.strerror}; choose another --host or --port") from None
    except OverflowError:
        raise ValueError(f"FHIRSUB_PORT: expected a port from 0 to 65535, got {port}") from None
    listener.listen(BACKLOG)
    return listener


def _open_many_files():
    """Each websocket is a file; systems commonly allow 1,024 to who does not ask for more."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _say_where(fhirsub, at):
    base_url = f"http://{at}{fhirsub.config.base_path.rstrip('/')}"
    socket_url = fhirsub.server.websocket_url(base_url)
    listening = f"{base_url}, websocket {socket_url}" if socket_url else base_url
    click.echo(f"fhirsub on {listening}, database {fhirsub.database.shown}")
