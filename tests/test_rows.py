"""``rows``: any number of rows as one parameter."""
import pytest
from sqlalchemy import BigInteger, String, insert, select

from fhirsub.store.rows import rows
from fhirsub.store.tables import need


@pytest.mark.parametrize("given", [
    [], [["Patient", "a b", 1]], [["P", "it's {\"n\": [1]} \\ é \N{GRINNING FACE}", 2**62], ["P", "", -1]],
    [["P", f"{number}", number] for number in range(5_000)]])
def test_rows_are_inserted_as_they_are_given(database, given):
    adding = insert(need).from_select(["type", "name", "streams"], select(*rows("needs", String, String, BigInteger)))
    with database.write() as tx:
        tx.execute(adding, {"needs": given})
        found = tx.execute(select(need).order_by(need.c.streams)).all()
    assert [list(row) for row in found] == sorted(given, key=lambda row: row[2])


def test_none_is_null(database):
    with database.read() as tx:
        assert tx.execute(select(*rows("some", String, BigInteger)), {"some": [[None, 1], ["", None]]}).all() == [
            (None, 1), ("", None)]
