"""``fhirsub status``: what an operator sees."""
import json
import os
import subprocess

from delivering import delivery, receiver  # noqa: F401
from live import FHIRSUB
from receiver import slow
from receiver import status as answering

from fhirsub.fhir.instants import instant_text
from fhirsub.status import status, table


def run(*arguments, folder):
    return subprocess.run([FHIRSUB, "status", *arguments], cwd=folder, env=os.environ, capture_output=True, text=True,
                          timeout=60)


def test_status_tells_who_is_behind_and_why(delivery):
    d = delivery()
    d.subscribe(id="well", path="/well")
    d.subscribe(id="ill", path="/ill")
    d.subscribe(id="socket", kind="websocket")
    d.receiver.behave("/ill", answering(500))
    d.happen(2)
    d.pump()
    d.write({"resourceType": "Patient"})
    found_at = d.clock()
    d.clock.move(2)
    found = status(d.database, now=d.clock())
    assert found["subscriptions"] == {"active": 2, "error": 1}
    assert found["pendingChanges"] == 2 and found["oldestUndelivered"] == instant_text(found_at)  # and that of the error
    [ill] = found["standings"]
    assert ill == {"id": "ill", "status": "error", "error": "the endpoint answered 500", "waiting": 2, "parked": 0,
                   "failedAttempts": 1, "underWay": False, "nextAttempt": instant_text(d.state("ill").due_at),
                   "lagSeconds": 2.0}
    assert found["matcher"] == d.matcher.owner


def test_status_tells_what_is_parked(delivery):
    d = delivery()
    d.subscribe()
    d.receiver.behave("/a", answering(500))
    d.happen(3)
    d.pump()
    d.rewrite(status="off")
    d.match()
    found = status(d.database, now=d.clock())
    assert found["subscriptions"] == {"off": 1} and found["oldestUndelivered"] is None
    [off] = found["standings"]
    assert (off["id"], off["waiting"], off["parked"], off["nextAttempt"]) == ("sub", 0, 3, None)


def test_status_tells_what_is_under_way(delivery):
    d = delivery()
    d.subscribe()
    d.receiver.behave("/a", slow(0.5))
    d.happen()
    d.dispatcher.step()
    found = status(d.database, now=d.clock())
    assert [(one["underWay"], one["nextAttempt"]) for one in found["standings"]] == [(True, None)]
    assert "under way" in table(found)
    d.pump()


def test_matcher_without_anything_to_do_is_idle(delivery):
    d = delivery()
    found = status(d.database, now=d.clock())
    assert "matcher             idle" in table(found)
    d.write({"resourceType": "Patient"})
    assert "nobody holds the lease" in table(status(d.database, now=d.clock()))


def test_deleted_subscriptions_are_not_told(delivery):
    d = delivery()
    d.subscribe()
    d.happen()
    d.delete("Subscription", "sub")
    d.match()
    found = status(d.database, now=d.clock())
    assert found["subscriptions"] == {} and found["standings"] == []


def test_table_has_a_line_for_each(delivery):
    d = delivery()
    for number in range(60):
        d.subscribe(id=f"s{number:02}", path=f"/{number}")
    d.happen()
    lines = table(status(d.database, now=d.clock())).splitlines()
    assert lines[0].split() == ["subscriptions", "60", "active"]
    assert sum(line.startswith("s") and " active " in line for line in lines[1:]) == 50
    assert lines[-1].startswith("… and 10 more")


def test_status_command_prints_a_table_or_json(sqlite_url, tmp_path):
    printed = run("--database", sqlite_url, folder=tmp_path)
    assert printed.returncode == 0 and "pending changes     0" in printed.stdout, printed.stderr
    assert "matcher             idle" in printed.stdout
    printed = run("--database", sqlite_url, "--json", folder=tmp_path)
    assert json.loads(printed.stdout)["standings"] == []


def test_status_of_no_database_is_a_failure(tmp_path):
    for path in ("none.db", "none/none.db"):
        failed = run("--database", f"sqlite:///{tmp_path}/{path}", folder=tmp_path)
        assert failed.returncode == 1 and failed.stderr.count("\n") == 1, failed.stderr
        assert f"{path} does not exist" in failed.stderr and not (tmp_path / path).exists()


def test_question_that_was_given_up_is_not_taken_for_one_that_waits(delivery):
    d = delivery()
    d.subscribe("Observation?status=final")
    d.subscribe("Observation?status=final", id="other", path="/other")
    d.happen()
    d.pump()
    d.rewrite(criteria="Observation?status=amended")
    d.match()
    d.happen()  # after the cursor that is done
    d.clock.move(10)
    d.happen(1, status="amended")
    d.rewrite(id="other", status="off")
    d.match()
    found = status(d.database, now=d.clock())
    assert found["oldestUndelivered"] == instant_text(d.clock())
    assert [(one["id"], one["waiting"], one["parked"]) for one in found["standings"]] == [("sub", 1, 0), ("other", 0, 1)]
