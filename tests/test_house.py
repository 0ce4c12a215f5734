"""The floors: a module imports from beside it or from below, and each library stays in its rooms. See docs/design.rst."""
import ast
import configparser
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "fhirsub"
FLOORS = {"__version__": 0, "errors": 0, "config": 0, "fhir": 1, "store": 2, "subscriptions": 3, "delivery": 3, "web": 4}
TOP = 5  # extension, cli and what stands beside them
ROOMS_OF = {  # library: where it may be imported
    "sqlalchemy": ("store", "subscriptions", "delivery"),
    "flask": ("web", "extension", "cli", "serving"),
    "flask_sock": ("web/sockets",),
    "simple_websocket": ("web/",),
    "smtplib": ("delivery/channels/email",),
    "pycurl": ("delivery/egress", "delivery/transfer"),
    "requests": (),
    "urllib3": (), "httpx": (), "aiohttp": (),
    "gevent": ("cli", "serving", "draining"),
    "psycopg": ("store",),
}


def modules():
    return sorted(path for path in PACKAGE.rglob("*.py"))


def room(path):
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


def floor(name):
    return FLOORS.get(name.split("/")[0], TOP)


def imports(path):
    """(line, absolute module name) of everything that a module imports."""
    package = ["fhirsub", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.lineno, node.module
        elif isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1] + ([node.module] if node.module else [])
            yield from ((node.lineno, ".".join([*base, *([] if node.module else [alias.name])])) for alias in node.names)


@pytest.mark.parametrize("path", modules(), ids=room)
def test_module_imports_only_from_beside_and_below(path):
    for line, name in imports(path):
        if name.startswith("fhirsub."):
            target = "/".join(name.split(".")[1:])
            assert floor(target) <= floor(room(path)), f"{path}:{line} imports {name}, which is a floor above"


@pytest.mark.parametrize("path", modules(), ids=room)
def test_library_stays_in_its_rooms(path):
    for line, name in imports(path):
        rooms = ROOMS_OF.get(name.split(".")[0])
        assert rooms is None or room(path).startswith(rooms), f"{path}:{line} imports {name}: only {rooms or 'nobody'} may"


@pytest.mark.parametrize("path", modules(), ids=room)
def test_tables_are_defined_in_one_module(path):
    if room(path) != "store/tables":
        names = {node.func.id for node in ast.walk(ast.parse(path.read_text()))
                 if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
        assert "Table" not in names, f"{path} defines a table; store/tables.py is the place"


def test_every_package_is_installed():
    listed = configparser.ConfigParser()
    listed.read(PACKAGE.parent / "setup.cfg")
    packages = {".".join(path.parent.relative_to(PACKAGE.parent).parts) for path in PACKAGE.rglob("__init__.py")}
    assert packages <= set(listed["options"]["packages"].split())
