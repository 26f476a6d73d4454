"""Extends schemathesis for the API test (scripts/test-api.sh): NDJSON bodies, and requests that get past validation.

Most generated ids name nothing, and most generated producer headers are incomplete; the service refuses all such
requests in the same way. So three in four requests are for one of a few existing sessions, and incomplete producer
headers are mostly left out.
"""

import json
import zlib

import schemathesis
from schemathesis.generation.meta import CoverageScenario

# scripts/test-api.sh creates these sessions; the last one, which has the goal, the agent and the blob, is never deleted.
SESSIONS = ["first", "second", "third", "kept"]
KNOWN = {
    "goal": "known-goal",
    "agent": "known-agent",
    "blob": "7117fff2d0fd294462b3c802b7cb8753579f23f3946b99cf55f38e873f013f10",
}


@schemathesis.serializer("application/x-ndjson")
def ndjson(ctx, value):
    """One object is one line; what is no list is a batch of one line."""
    lines = value if isinstance(value, list) else [value]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def dice(*values):
    """A number that depends on the values alone, so that a seed repeats a run."""
    return zlib.crc32(repr(values).encode())


def leaves_something_out(case):
    """Whether a request lacks a header on purpose, the key among them: changed, it would get that back."""
    data = case.meta.phase.data if case.meta else None
    return getattr(data, "scenario", None) == CoverageScenario.MISSING_PARAMETER


@schemathesis.hook
def before_call(ctx, case, kwargs):
    if leaves_something_out(case):
        return
    parameters, headers = case.path_parameters or {}, case.headers
    number = dice(parameters, case.body if isinstance(case.body, dict) else None)
    if "id" in parameters and number % 4:
        some = SESSIONS[:-1] if case.method == "DELETE" else SESSIONS
        parameters["id"] = some[number // 4 % len(some)]
    for name in KNOWN.keys() & parameters.keys():
        if number % 4:
            parameters.update({"id": "kept", name: KNOWN[name]})
    given = [name for name in headers or {} if name.lower().startswith("producer-")]
    if 0 < len(given) < 3 and dice(dict(headers)) % 4:
        for name in given:
            del headers[name]
    # The service answers producer numbers that it has seen on another route with that route's answer, so each route
    # gets its own producer ids.
    for name in given:
        if name.lower() == "producer-id" and headers.get(name):
            headers[name] = f"{dice(case.method, case.operation.path):08x}{headers[name]}"
