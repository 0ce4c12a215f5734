"""The lock that is taken in the order of asking."""
from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

from fhirsub.store.turn import Turn


def test_turns_are_taken_one_at_a_time_in_the_order_of_asking():
    turn, order, threads = Turn(), [], []

    def take(number):
        with turn:
            order.append(number)
            time.sleep(0.001)
            order.append(number)

    with turn:
        for number in range(5):
            threads.append(threading.Thread(target=take, args=[number]))
            threads[-1].start()
            while len(turn._waiting) <= number:
                time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert order == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_turn_passes_on_when_an_exception_ends_it():
    turn = Turn()
    for _ in range(2):
        try:
            with turn:
                raise KeyError
        except KeyError:
            pass
    assert not turn._taken


def test_killed_greenlet_does_not_keep_the_turn():
    script = (
        "import gevent.monkey; gevent.monkey.patch_all()\n"
        "import gevent\n"
        "from fhirsub.store.turn import Turn\n"
        "turn = Turn()\n"
        "def take():\n"
        "    with turn:\n"
        "        gevent.sleep(0.01)\n"
        "with turn:\n"
        "    waiting = [gevent.spawn(take) for _ in range(3)]\n"
        "    gevent.sleep(0.01)\n"
        "    waiting[0].kill()\n"
        "    assert len(turn._waiting) == 2\n"
        "waiting[1].kill(block=False)\n"  # its turn has come, but it does not know yet
        "with gevent.Timeout(5):\n"
        "    waiting[2].join()\n"
        "assert not turn._taken\n")
    subprocess.run([sys.executable, "-c", script], check=True, timeout=20, cwd=os.getcwd())
