#!/usr/bin/python3
"""Lines and docs/log-contract.schema.json against each other; the schema is the only thing it knows of the contract.

contract_lines.py SCHEMA check FILE...      every line of the files is valid; prints those that are not
contract_lines.py SCHEMA make COUNT SEED    prints valid lines, each after it was checked
contract_lines.py SCHEMA spoil COUNT SEED   prints "what is wrong<TAB>line" of lines the schema refuses
contract_lines.py SCHEMA format FORMATTER   prints and checks what that logging formatter makes of some records
"""
import copy
import importlib.util
import json
import logging
import random
import re
import sys

import jsonschema

schema = json.load(open(sys.argv[1], encoding="utf-8"))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)


def faults(line):
    return [f"{'.'.join(map(str, e.path))}: {e.message}" for e in validator.iter_errors(line)]


def check(name, text):
    found = faults(json.loads(text))
    if found:
        sys.exit(f"{name}: {text}\n" + "\n".join(found))


def value_of(rule, rng):
    if "$ref" in rule:
        rule = schema["$defs"][rule["$ref"].rsplit("/", 1)[1]]
    if "const" in rule:
        return rule["const"]
    if "enum" in rule:
        return rng.choice(rule["enum"])
    kind = rule["type"]
    kind = rng.choice(kind) if isinstance(kind, list) else kind
    if kind == "integer":
        low, high = rule.get("minimum", 0), rule.get("maximum", 10**15)
        return rng.choice([low, high, rng.randint(low, high)])
    if kind == "number":
        low, high = rule.get("minimum", -10**9), rule.get("maximum", 10**9)
        return rng.choice([low, high, round(rng.uniform(low, high), 3)])
    if kind == "boolean":
        return rng.random() < 0.5
    if kind == "array":
        return [value_of(rule.get("items", {"type": "string"}), rng) for _ in range(rng.randint(0, 3))]
    if kind == "object":
        out = {n: value_of(r, rng) for n, r in rule.get("properties", {}).items()}
        if isinstance(rule.get("additionalProperties"), dict):
            out[rng.choice(["email", "name"])] = value_of(rule["additionalProperties"], rng)
        return out
    if rule.get("format") == "date-time":
        zone = rng.choice(["Z", "+00:00", "-07:30"])
        return f"2026-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}T{rng.randint(0, 23):02}:07:{rng.randint(0, 59):02}" \
               f"{rng.choice(['', '.5', '.123456'])}{zone}"
    digits = re.fullmatch(r"\^\[0-9a-f\]\{(\d+)\}\$", rule.get("pattern", ""))
    if digits:
        return "".join(rng.choice("0123456789abcdef") for _ in range(int(digits[1])))
    return rng.choice(["orders", "a b", "Ünïcode", "x" * 200, "quote \" and \\ slash"])


def rules_for(event):
    """Properties, required members, and what members need beside them, on a line of that kind."""
    properties, required, needs = dict(schema["properties"]), list(schema["required"]), dict(schema["dependentRequired"])
    for part in schema["allOf"]:
        where = part["if"].get("properties", {"event": {"const": None}})["event"]
        if event == where.get("const", "") or event in where.get("enum", []):
            properties.update(part["then"].get("properties", {}))
            required += part["then"].get("required", [])
            needs.update(part["then"].get("dependentRequired", {}))
    return properties, required, needs


def make(rng):
    event = rng.choice(schema["properties"]["event"]["enum"] + [None])
    properties, required, needs = rules_for(event)
    names = set(required) | {n for n in properties if rng.random() < 0.4}
    for name, others in needs.items():
        names |= set(others) if name in names else set()
    line = {name: value_of(properties[name], rng) for name in names - {"event"}}
    if event:
        line["event"] = event
    members = list(line.items())
    rng.shuffle(members)  # the kind may stand anywhere
    return dict(members)


def spoil(line, rng):
    """What was done to it; None if there is nothing to do to this line."""
    properties, required, _ = rules_for(line.get("event"))
    name = rng.choice(sorted(n for n in line if n in properties and n != "event"))
    rule = properties[name]
    if name in ("ts", "level", "msg") or (name in ("job_id", "run_id") and name in required):
        del line[name]
        return f"{name} is missing"
    # Any text may stand for the state of something else than a run, and under `error`.
    if name in ("status", "error"):
        return None
    kinds = rule.get("type")
    if "enum" in rule:
        line[name] = "cake"
    elif kinds in ("integer", "number"):
        bad = ["seven", {}, [1], True]
        bad += [rule["minimum"] - 1] if "minimum" in rule else []
        bad += [rule["maximum"] + 1] if "maximum" in rule else []
        line[name] = rng.choice(bad)
    elif kinds == "boolean":
        line[name] = rng.choice(["perhaps", 7])
    elif rule.get("format") == "date-time":
        line[name] = rng.choice(["yesterday", "2026-13-01T00:00:00Z", {}])
        if name == "ts":
            return None
    elif kinds in ("object", ["array", "object"]):
        line[name] = "a text"
    else:
        return None  # any value is text to the parser
    return f"{name} is {json.dumps(line[name])}"


def lines_of_formatter(path):
    spec = importlib.util.spec_from_file_location("formatter", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    handler = logging.StreamHandler(sys.stdout)
    formatter = module.ContractFormatter()
    formatter.common = {"service": "etl", "env": "prod", "job_id": "orders", "run_id": "nightly-0301"}
    handler.setFormatter(formatter)
    log = logging.getLogger("worker")
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    log.info("go", extra={"fields": {"event": "run.started", "attempt": 1}})
    log.warning("loaded %d of %s", 7, "orders", extra={"fields": {"records_loaded": 7, "phase": "load"}})
    log.debug("")
    try:
        raise ValueError("row 3: \"id\" is null")
    except ValueError:
        log.exception("failed", extra={"fields": {"event": "run.finished", "status": "failed", "duration_ms": 12.5}})
    log.critical("gone")


def main(verb, *arguments):
    if verb == "check":
        for path in arguments:
            for number, text in enumerate(open(path, encoding="utf-8"), 1):
                check(f"{path}:{number}", text)
    elif verb == "format":
        lines_of_formatter(arguments[0])
    else:
        rng = random.Random(int(arguments[1]))
        for _ in range(int(arguments[0])):
            line = make(rng)
            text = json.dumps(line, ensure_ascii=rng.random() < 0.5)
            check("made", text)
            if verb == "make":
                print(text)
                continue
            spoiled = copy.deepcopy(line)
            what = spoil(spoiled, rng)
            if not what:
                continue
            if not faults(spoiled):
                sys.exit(f"the schema takes a line in which {what}: {json.dumps(spoiled)}")
            print(what + "\t" + json.dumps(spoiled))


main(*sys.argv[2:])
