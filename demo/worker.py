#!/usr/bin/python3
"""Sample ETL workers for demo.sh. They print the native log contract (docs/log-contract.md), one JSON object a line.

worker.py orders               one run: a first attempt that fails, a second that succeeds, data-quality lines,
                               and lines that carry secrets and personal data as real logs do by mistake
worker.py customers FILE       two runs written to FILE: one succeeds, one fails
worker.py inventory            one run that kills itself with SIGKILL in the middle, as the kernel does when memory ends
worker.py --secrets            prints "kind<TAB>text" of everything that must not be found in what runtail writes

All secrets are made up; they are put together here so that no scanner mistakes this file for a leak.
"""
import json
import os
import signal
import sys
import time
from datetime import datetime, timezone

JWT = "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiJqYW5lLnJvZSIsInJvbGUiOiJhZG1pbiJ9" + ".h4tKp1Zr9wVxQm2LsYb8Nf3Dc6Ge0Ja5"
PEM_BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
SECRETS = {  # kind: (text that must vanish, the message it comes in)
    "e-mail": ("jane.roe@clinic-example.org", "welcome mail sent to jane.roe@clinic-example.org"),
    "ssn": ("536-22-8145", "patient record matched by ssn 536-22-8145"),
    "card": ("4539 1488 0343 6467", "refund to card 4539 1488 0343 6467 queued"),
    "jwt": (JWT.split(".")[1], "calling billing with token " + JWT),
    "bearer": ("q7Zt0pWm3RkXv81Lc5Ny", "request header Authorization: Bearer q7Zt0pWm3RkXv81Lc5Ny"),
    "basic": ("ZXRsOnMzY3JldC1wdw==", "request header Authorization: Basic ZXRsOnMzY3JldC1wdw=="),
    "aws_key": ("AKIA" + "2Q7XR5T9LM3VKP4W", "assumed role with key " + "AKIA" + "2Q7XR5T9LM3VKP4W"),
    "url_password": ("Tr0ub4dor-77", "connecting to postgresql://etl:Tr0ub4dor-77@warehouse:5432/orders"),
    "password_pair": ("Winter.2026.Rain", "retrying login user=etl password=Winter.2026.Rain host=warehouse"),
    "private_key": (PEM_BODY, "-----BEGIN PRIVATE KEY-----\n" + PEM_BODY + "\n-----END PRIVATE KEY-----"),
}
SQL_DETAIL = ("Roe-Smythe", 'duplicate key value violates unique constraint "patients_name_key" '
              "DETAIL:  Key (last_name, born)=(Roe-Smythe, 1971-03-09) already exists.")
UNLISTED = ("hunter2-in-an-odd-field", {"debug_dump": {"session": "hunter2-in-an-odd-field"}})
PLAIN_TEXT = ("k.doe@clinic-example.org", "Traceback: could not notify k.doe@clinic-example.org (not a JSON line)")


def now():
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Run:
    """One run of one job: fills in what every line of the contract carries."""

    def __init__(self, job, run_id, out):
        self.common = {"service": "etl", "env": "demo", "job_id": job, "run_id": run_id, "correlation_id": "demo-" + job}
        self.attempt = 1
        self.out = out

    def line(self, msg, level="INFO", **fields):
        record = {"ts": now(), "level": level, "msg": msg, **self.common, "attempt": self.attempt, **fields}
        print(json.dumps(record), file=self.out, flush=True)

    def event(self, event, level="INFO", **fields):
        self.line(event, level=level, event=event, **fields)

    def task(self, name, phase, table, rows):
        self.event("task.started", task=name, phase=phase)
        half = rows // 2
        counter = "records_extracted" if phase == "extract" else "records_loaded"
        for amount in (half, rows - half):
            self.line(f"{name}: batch of {amount}", task=name, phase=phase, table=table, **{counter: amount})
        self.event("task.finished", task=name, phase=phase, table=table, status="success", duration_ms=120)


def orders(out):
    run = Run("orders", f"orders__{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%S}", out)
    run.event("run.started", scheduled_at=now(), max_attempts=3)
    run.event("attempt.started")
    run.task("read_orders", "extract", "src.orders", 1200)
    run.event("attempt.finished", level="ERROR", status="failed", duration_ms=240, error_category="db",
              error_code="40001", **{"error.type": "OperationalError", "error.message": "deadlock detected"})
    run.attempt = 2
    run.event("attempt.started")
    run.task("load_orders", "load", "dwh.orders", 1200)
    run.event("dq", table="dwh.orders", row_count=1200)
    run.event("dq", table="dwh.orders", null_rates={"customer_id": 0.0, "discount": 0.12})
    run.event("dq", table="dwh.orders", columns=[{"name": "order_id", "type": "bigint"},
                                                 {"name": "discount", "type": "numeric"}])
    for _, message in SECRETS.values():
        run.line(message, level="WARN")
    run.line("insert refused", level="ERROR", **{"error.type": "UniqueViolation", "error.message": SQL_DETAIL[1]})
    run.line("session dump", **UNLISTED[1])
    print(PLAIN_TEXT[1], file=out, flush=True)
    run.event("run.finished", status="success", records_loaded=1200, duration_ms=700)


def customers(out):
    for number, status in ((1, "success"), (2, "failed")):
        run = Run("customers", f"customers__{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%S}_{number}", out)
        run.event("run.started", scheduled_at=now())
        run.task("load_customers", "load", "dwh.customers", 300 * number)
        if status == "success":
            run.event("run.finished", status="success", duration_ms=410)
        else:
            run.event("run.finished", level="ERROR", status="failed", duration_ms=520, error_category="schema",
                      **{"error.type": "ValueError", "error.message": "column born: cannot parse a date"})


def inventory(out):
    run = Run("inventory", f"inventory__{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%S}", out)
    run.event("run.started", scheduled_at=now())
    run.line("batch of 250", table="dwh.inventory", phase="load", records_loaded=250)
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGKILL)


def main():
    verb = sys.argv[1] if len(sys.argv) > 1 else ""
    if verb == "--secrets":
        texts = {kind: text for kind, (text, _) in SECRETS.items()}
        texts |= {"sql_detail": SQL_DETAIL[0], "unlisted field": UNLISTED[0], "text line": PLAIN_TEXT[0]}
        for kind, text in texts.items():
            print(f"{kind}\t{text}")
    elif verb == "orders":
        orders(sys.stdout)
    elif verb == "inventory":
        inventory(sys.stdout)
    elif verb == "customers" and len(sys.argv) == 3:
        with open(sys.argv[2], "a", encoding="utf-8") as out:
            customers(out)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
