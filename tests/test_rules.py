"""Every rule in docs/rules.rst and every fault in docs/scaling.rst is proved by tests that exist."""
import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
RULES = (ROOT / "docs" / "rules.rst").read_text()


def rules():
    """``{rule: ["tests/test_x.py::test_y", …]}``"""
    rows = re.split(r"^   \* - ", RULES, flags=re.MULTILINE)[1:]
    cells = [row.split("\n     - ") for row in rows if not row.startswith("rule\n")]
    return {rule: re.findall(r"``(tests/\S+::\w+)``", tests) for rule, tests in cells}


def test_every_rule_names_a_test():
    assert len(rules()) > 30 and all(rules().values())


def test_every_test_that_is_named_exists():
    named = set(re.findall(r"``(tests/\S+::\w+)``", RULES + (ROOT / "docs" / "scaling.rst").read_text()))
    there = {f"{path.relative_to(ROOT)}::{node.name}" for path in (ROOT / "tests").rglob("test_*.py")
             for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
    assert named - there == set()
