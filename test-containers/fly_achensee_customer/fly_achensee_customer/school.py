"""The school's books: calendar, bookings, prices, forecasts, refunds, and the letters that were sent.

**Once.** A change of the books for a request is stored together with its answer, in one transaction, under the request,
the tool and the tool's arguments. A request that is processed again after a kill gets the first answer and changes
nothing.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

Row = Dict[str, Any]
# Seconds that a writer waits for another one. Short, so that a customer's request reports that it had to wait.
PATIENCE = 0.02


class School:
    """The books in one SQLite file, made and filled at the first start."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = connect(path)
        if self._db.execute("PRAGMA user_version").fetchone()[0] == 0:
            script = Path(__file__).with_name("school.sql").read_text()
            self._db.executescript(f"BEGIN EXCLUSIVE; {script} PRAGMA user_version = 1; COMMIT;")

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def all(self, query: str, *values: Any) -> List[Row]:
        """The rows that a query finds."""
        return [dict(row) for row in self._db.execute(query, values)]

    def one(self, query: str, *values: Any) -> Optional[Row]:
        """The first row that a query finds."""
        return next(iter(self.all(query, *values)), None)

    def run(self, statement: str, *values: Any) -> None:
        """Changes the books, inside `changes`."""
        self._db.execute(statement, values)

    @contextmanager
    def changes(self) -> Iterator[None]:
        """A transaction; `sqlite3.OperationalError` if another writer has the books for too long."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def once(self, request: str, tool: str, given: Row, work: Callable[[], Row]) -> Row:
        """Does the work, unless it was done for this request: then answers as the first time."""
        key = (request, tool, json.dumps(given, sort_keys=True))
        with self.changes():
            known = self.one("SELECT result FROM done WHERE request = ? AND tool = ? AND given = ?", *key)
            if known is not None:
                answered: Row = json.loads(known["result"])
                return answered
            result = work()
            self.run("INSERT INTO done VALUES (?, ?, ?, ?)", *key, json.dumps(result))
            return result

    def send(self, request: str, recipient: str, outcome: str, text: str) -> None:
        """Puts a letter into the outbox; a request has one."""
        with self.changes():
            self.run("INSERT OR IGNORE INTO outbox VALUES (?, ?, ?, ?)", request, recipient, outcome, text)

    def sent(self, request: str) -> Optional[Row]:
        """The letter that a request got."""
        return self.one("SELECT * FROM outbox WHERE request = ?", request)


def connect(path: Path) -> sqlite3.Connection:
    """A connection of its own, with transactions begun by hand."""
    db = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
    db.row_factory = sqlite3.Row
    return db
