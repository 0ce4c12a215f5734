"""A Flask application with a store of its own, to which FHIRSub adds Subscriptions.

    python examples/host_app.py            # http://127.0.0.1:5000

It keeps beds in a table of its own and shows them as FHIR Locations at ``/beds``. A write calls ``fhirsub.record`` in
the transaction that stores the bed: if that commits, whoever subscribed is notified; if it rolls back, nobody is.
With ``python examples/receiver.py`` in another terminal:

    curl -X POST localhost:5000/fhir/Subscription -H 'Content-Type: application/fhir+json' -d '{
        "resourceType": "Subscription", "status": "requested", "reason": "beds",
        "criteria": "Location?status=suspended",
        "channel": {"type": "rest-hook", "endpoint": "http://127.0.0.1:9000/beds", "payload": "application/fhir+json"}}'
    curl -X PUT localhost:5000/beds/12 -H 'Content-Type: application/json' -d '{"ward": "West", "status": "suspended"}'
"""
from flask import Flask, abort, request
from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, delete, insert, select

import fhirsub

STATUSES = ("active", "suspended", "inactive")

metadata = MetaData()
bed_table = Table("bed", metadata, Column("number", Integer, primary_key=True),
                  Column("ward", String(40), nullable=False), Column("status", String(10), nullable=False),
                  Column("version", Integer, nullable=False))


def location(bed):
    """The bed as FHIR: ``{"resourceType": "Location", "id": "12", …}``."""
    return {"resourceType": "Location", "id": str(bed.number), "meta": {"versionId": str(bed.version)},
            "status": bed.status, "name": f"Bed {bed.number}, ward {bed.ward}", "mode": "instance"}


def create_app(database="sqlite:///beds.db", **settings):
    app = Flask("beds")
    engine = create_engine(database)  # the application's own; its tables are in the same database as fhirsub's
    metadata.create_all(engine)
    fhirsub.FHIRSub(app, DATABASE=database, **settings).migrate()

    @app.put("/beds/<int:number>")
    def put_bed(number):
        ward, status = (request.get_json().get(name, "") for name in ("ward", "status"))
        with engine.begin() as connection:
            old = connection.execute(delete(bed_table).where(bed_table.c.number == number).returning(bed_table)).first()
            bed = connection.execute(insert(bed_table).values(
                number=number, ward=ward, status=status, version=old.version + 1 if old else 1)
                .returning(bed_table)).one()
            fhirsub.record(fhirsub.Change(type="Location", id=str(number), version_id=str(bed.version),
                                          interaction="update" if old else "create", resource=location(bed),
                                          previous=location(old) if old else None), connection=connection)
            if bed.status not in STATUSES:
                abort(422, f"status: expected {' | '.join(STATUSES)}; got {bed.status!r}")  # rolls everything back
        return location(bed)

    @app.get("/beds/<int:number>")
    def read_bed(number):
        with engine.connect() as connection:
            bed = connection.execute(select(bed_table).where(bed_table.c.number == number)).first()
        return location(bed) if bed else abort(404)

    return app


if __name__ == "__main__":
    create_app(HOST="127.0.0.1").run("127.0.0.1", 5000)
