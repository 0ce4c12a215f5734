"""A benchmark's processes end with it, also when it is told to stop."""
import signal
import subprocess
import sys
from contextlib import contextmanager


def on_sigterm():
    """Have SIGTERM end this process as an error does, so that each ``with`` puts away what it has started."""
    def leave(number, frame):
        signal.signal(number, signal.SIG_IGN)  # putting away takes a moment
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)


@contextmanager
def running(*arguments):
    """A Python process that has printed its first line; gives that line, and kills it at the end."""
    process = subprocess.Popen([sys.executable, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()
