"""A service on the loopback that stores in memory, keeps the producer protocol, and fails on demand."""

from __future__ import annotations

import json
import socket
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Callable

DEADLINE = 30.0


@dataclass
class Fault:
    """What happens to a request: whether it is stored, and the bytes (or the time) that it is answered with."""

    name: str
    stores: bool = True
    answer: bytes | None = None
    late: float = 0.0
    holds: bool = False
    endless: bool = False


def answered(status: int, body: str, headers: str = "") -> Fault:
    """Not stored; this answer."""
    return Fault(f"{status} {body[:20]}", stores=False, answer=http(status, body, headers))


HANG = Fault("hangs", holds=True)
CLOSE = Fault("closes", stores=False, answer=b"")
CLOSE_STORED = Fault("stores, then closes", answer=b"")
HALF = Fault("half an answer", answer=b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
GARBAGE = Fault("garbage", answer=b"\x00\xff\x16\x03 no http at all\r\n\r\n")
LATE = Fault("late", late=0.4)
ENDLESS = Fault("endless", endless=True)


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: str


@dataclass
class Session:
    lines: list[dict[str, Any]] = field(default_factory=list)
    producers: dict[str, tuple[int, int, str]] = field(default_factory=dict)


class FaultServer:
    """Runs until closed. Everything that it has is guarded by `changed`."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.sessions: dict[str, Session] = {}
        self.requests: list[Request] = []
        self.faults: deque[Fault] = deque()
        self.always: Fault | None = None
        self.scripted: deque[tuple[int, str]] = deque()
        self._connections: set[socket.socket] = set()
        self._listener = self._listen(0)
        self.port = self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Refuses connections and cuts those there are; what was stored stays."""
        cut(self._listener)
        self._listener.close()
        with self.changed:
            for connection in self._connections:
                cut(connection)
            self._connections.clear()

    def reopen(self) -> None:
        self._listener = self._listen(self.port)

    def wait(self, what: Callable[[FaultServer], object]) -> None:
        """Until a request has brought it about."""
        with self.changed:
            assert self.changed.wait_for(lambda: what(self), DEADLINE), "the server never saw it"

    def numbers(self, session: str) -> list[int]:
        """The `n` of a session's lines, those that tell of a loss aside."""
        with self.changed:
            data = [line["data"] for line in self.sessions.get(session, Session()).lines]
        return [one["n"] for one in data if one.get("type") != "gap"]

    def _listen(self, port: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(64)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return listener

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.changed:
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as reader:
                while (request := read(reader)) and self._answer(connection, request):
                    pass
        except OSError:
            pass  # The client may disconnect at any time.
        finally:
            with self.changed:
                self._connections.discard(connection)

    def _answer(self, connection: socket.socket, request: Request) -> bool:
        with self.changed:
            self.requests.append(request)
            fault = self.faults.popleft() if self.faults else self.always
            answer = b""
            if fault is None or fault.stores:
                scripted = self.scripted.popleft() if self.scripted else None
                answer = http(*scripted) if scripted else self._store(request)
            self.changed.notify_all()
        if fault is None:
            connection.sendall(answer)
            return True
        return misbehave(connection, fault, answer)

    def _store(self, request: Request) -> bytes:
        if request.path == "/health":
            return http(200, '{"status":"ok"}')
        if request.path == "/api/sessions":
            body = json.loads(request.body)
            self.sessions.setdefault(body["sessionId"], Session())
            return http(200, json.dumps({"success": True, "sessionId": body["sessionId"]}))
        if not request.path.endswith("/events"):
            return http(404, '{"error":"no such route","code":"not_found"}')
        session = self.sessions.setdefault(request.path.split("/")[3], Session())
        return batch(session, request)


def batch(session: Session, request: Request) -> bytes:
    """The producer protocol: a repeat is answered as before, a gap is refused."""
    name, headers = request.headers["producer-id"], request.headers
    epoch, seq = int(headers["producer-epoch"]), int(headers["producer-seq"])
    known, last, before = session.producers.get(name, (epoch, -1, ""))
    if epoch < known:
        return http(403, "{}", f"producer-epoch: {known}\r\n")
    if epoch > known:
        last = -1
    if seq <= last:
        return http(200, before if seq == last else '{"success":true,"duplicate":true}')
    if seq > last + 1:
        return http(409, "{}", f"producer-expected-seq: {last + 1}\r\n")
    results = []
    for line in filter(None, request.body.split("\n")):
        session.lines.append(json.loads(line))
        results.append({"success": True, "seq": len(session.lines)})
    answer = json.dumps({"results": results, "offset": len(session.lines)})
    session.producers[name] = (epoch, seq, answer)
    return http(200, answer)


def misbehave(connection: socket.socket, fault: Fault, answer: bytes) -> bool:
    """True: the connection goes on."""
    if fault.holds:
        connection.recv(1)  # Waits until the client gives up.
        return False
    if fault.late:
        threading.Event().wait(fault.late)  # The fault asks for a late answer.
        connection.sendall(answer)
        return True
    if fault.endless:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)
    connection.sendall(fault.answer or b"")
    if fault.answer and not fault.stores:
        return True
    cut(connection)
    return False


def cut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # The connection is already closed.


def http(status: int, body: str, headers: str = "") -> bytes:
    data = body.encode()
    return f"HTTP/1.1 {status} X\r\n{headers}content-length: {len(data)}\r\n\r\n".encode() + data


def read(reader: Any) -> Request | None:
    first = reader.readline().decode()
    if not first:
        return None
    method, path, _ = first.split(" ")
    headers = {}
    while (line := reader.readline().decode().strip()) != "":
        name, value = line.split(": ", 1)
        headers[name.lower()] = value
    length = int(headers.get("content-length", 0))
    body = reader.read(length)
    if len(body) < length:
        return None  # The client was killed during its request, which the real service does not store either.
    return Request(method, path, headers, body.decode(errors="replace"))
