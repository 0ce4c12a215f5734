"""``within``: sets of any size in a condition, answered by the index of the column."""
import pytest
from sqlalchemy import and_, insert, not_, or_, select

from fhirsub.store.sets import within
from fhirsub.store.tables import stream, stream_key


@pytest.fixture
def tx(database):
    with database.write() as tx:
        for key in ("a", "b", "c,d", "é"):
            of = tx.execute(insert(stream).values(question=key, question_hash=key).returning(stream.c.id)).scalar_one()
            tx.execute(insert(stream_key).values(key=key, stream_id=of))
        yield tx


@pytest.mark.parametrize("values, expected", [
    ({"a", "c,d", "q"}, ["a", "c,d"]), ((), []), (["é"] * 3, ["é"]), (map(str, range(20_000)), [])])
def test_within_takes_any_set(tx, values, expected):
    values, key = list(values), stream_key.c.key
    assert tx.scalars(select(key).where(within(key, "keys")).order_by(key), {"keys": values}).all() == expected
    assert tx.scalars(select(key).where(within(key, values=values)).order_by(key)).all() == expected


def test_within_is_a_condition_like_others(tx):
    key = stream_key.c.key
    some = or_(and_(within(key, values="ab"), not_(within(key, values="a"))), within(key, values=["é"]))
    assert sorted(tx.scalars(select(key).where(some))) == ["b", "é"]


@pytest.mark.parametrize("condition", [
    within(stream_key.c.key, "of"), and_(within(stream_key.c.key, "of"), stream_key.c.stream_id > 0)])
def test_within_uses_the_index_on_sqlite(sqlite_database, condition):
    with sqlite_database.read() as tx:
        compiled = select(stream_key).where(condition).compile(tx.engine)
        plan = tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", tuple("[]" for _ in compiled.positiontup)).all()
    assert any(row.detail.startswith("SEARCH fhirsub_stream_key") for row in plan), plan
