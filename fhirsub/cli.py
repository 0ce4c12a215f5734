"""The command ``fhirsub``: serve, worker, migrate, status, match."""
from __future__ import annotations

import sys
from functools import partial

import click

from .config import SETTINGS

_DEFAULTS = {setting.name: setting for setting in SETTINGS}


def _option(name):
    """``--name VALUE`` for a setting, with its meaning and default from the SETTINGS table."""
    setting = _DEFAULTS[name]
    return click.option(f"--{name.lower().replace('_', '-')}", type=type(setting.default), default=None,
                        metavar=setting.unit.upper(), help=f"{setting.meaning} (default {setting.default or 'none'})")


def _given(options):
    return {name.upper(): value for name, value in options.items() if value is not None}


@click.group()
@click.version_option(package_name="fhirsub")
def main():
    """A FHIR R4 server whose subject is the Subscription.

    Every setting can also be given in the environment as FHIRSUB_NAME.
    """


@main.command()
@_option("HOST")
@_option("PORT")
@_option("DATABASE")
@_option("LOG_FORMAT")
@click.option("--workers/--no-workers", default=None,
              help="run the matcher and the dispatcher in this process (default: yes)")
def serve(**options):
    """Migrate the database and serve FHIR, websockets and, unless told otherwise, deliver notifications."""
    from gevent import monkey
    monkey.patch_all()
    from . import serving
    _run(serving.serve, _given(options))


@main.command()
@_option("HOST")
@_option("DATABASE")
@_option("LOG_FORMAT")
def worker(**options):
    """Match changes and deliver notifications, beside web processes on the same database."""
    from . import serving
    _run(serving.work, _given(options))


@main.command()
@_option("DATABASE")
def migrate(**options):
    """Bring the database to the tables of this version."""
    from . import serving
    _run(serving.migrate, _given(options))


@main.command("status")
@_option("DATABASE")
@click.option("--json", "as_json", is_flag=True, help="print JSON (default: a table)")
def status_(as_json, **options):
    """Show Subscriptions by status, who is behind and why, and who matches changes."""
    from . import status
    _run(partial(status.show, as_json=as_json), _given(options))


@main.command()
@click.argument("criteria")
@click.argument("files", type=click.File("rb"), nargs=-1, required=True, metavar="FILE...")
@click.option("--base-url", default="", metavar="URL", help="base of your server: references below it are its own "
              "(default none)")
def match(criteria, files, base_url):
    """Try CRITERIA on the resources in each FILE, without a server.

    A FILE, - for stdin, is a resource, a Bundle (each entry is tried) or NDJSON. Prints a line for each resource. Exits
    with 0 if at least one matches, 1 if none does, 2 if the criteria or a file is refused.
    """
    from .errors import FHIRSubError
    try:
        answers = [_tell(reference, matched) for reference, matched in _tried(criteria, files, base_url)]
    except (FHIRSubError, OSError) as error:
        click.echo(f"fhirsub: {error}", err=True)
        sys.exit(2)
    sys.exit(0 if any(answers) else 1)


def _tried(criteria, files, base_url):
    """Yield ``("Observation/1", whether it matches)`` for each resource."""
    from .fhir.criteria import parse
    from .fhir.search_values import SearchValues, undecidable
    from .samples import samples
    question = parse(criteria, base_url).bind(undecidable)
    for file in files:
        for resource in samples(file.read(), getattr(file, "name", "-"), whole=question.type == "Bundle"):
            reference = "/".join(str(resource[name]) for name in ("resourceType", "id") if name in resource)
            yield reference, question.test(SearchValues(resource, base_url))


def _tell(reference, matched):
    click.echo(f"{reference} {'match' if matched else 'no match'}")
    return matched


def _run(command, settings):
    from .errors import StorageError
    try:
        command(settings)
    except ValueError as error:
        click.echo(f"fhirsub: {error}", err=True)
        sys.exit(2)
    except (StorageError, OSError) as error:
        click.echo(f"fhirsub: {error}", err=True)
        sys.exit(1)
