"""Python's logging as lines of the log contract: log.info("loaded", extra={"fields": {"records_loaded": 7}})"""
import datetime, json, logging
class ContractFormatter(logging.Formatter):
    common = {}  # stands on every line: {"service": "etl", "job_id": "orders", "run_id": "nightly-0301"}
    def format(self, record):
        line = {"ts": datetime.datetime.fromtimestamp(record.created, datetime.timezone.utc).isoformat(),
                "level": {"WARNING": "WARN", "CRITICAL": "FATAL"}.get(record.levelname, record.levelname),
                "msg": record.getMessage() or "-", **self.common, **getattr(record, "fields", {})}
        if record.exc_info:
            kind, error, _ = record.exc_info
            line["error"] = {"type": kind.__name__, "message": str(error), "stack": self.formatException(record.exc_info)}
        return json.dumps(line, default=str)
