"""``fhirsub`` with a clock that is wrong by the seconds that stand in the file $CLOCK_SHIFT."""
from gevent import monkey

monkey.patch_all()  # as the command does, before anything is imported

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

from fhirsub import cli, extension


def utcnow():
    shift = Path(os.environ["CLOCK_SHIFT"])
    return datetime.now(timezone.utc) + timedelta(seconds=float(shift.read_text() if shift.exists() else 0))


if __name__ == "__main__":
    extension.utcnow = utcnow
    cli.main()
