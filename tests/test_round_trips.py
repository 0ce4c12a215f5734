"""What one notification costs the database while the next one waits; each statement is a round trip on PostgreSQL."""
import pytest
from delivering import FHIR, delivery, receiver  # noqa: F401
from sqlalchemy import event

ROUND = {"sqlite": ["SELECT", "UPDATE", "INSERT", "SELECT"], "postgresql": ["SELECT", "WITH", "SELECT"]}


@pytest.mark.parametrize("payload", [None, FHIR])
def test_one_that_has_landed_and_the_next_take_four_statements_or_three(delivery, payload):
    d = delivery()
    d.subscribe(payload=payload)
    d.happen(2)
    d.dispatcher.step()
    d.receiver.wait(1)
    while not d.dispatcher._landed:
        d.dispatcher._wake.wait(0.01)
    statements = []
    event.listen(d.database.engine, "before_cursor_execute",
                 lambda connection, cursor, statement, *_: statements.append(statement.split(None, 1)[0]))
    d.dispatcher._round()
    assert statements == ROUND[d.database.dialect]
    d.pump()
    assert d.numbers() == [1, 2]
