"""The front desk, which writes to the same books: while it does, a specialist's tool fails and is tried again."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import BaseCallbackHandler

from .school import School, connect


class FrontDesk(BaseCallbackHandler):
    """Has the books open, on a connection of its own, until somebody was turned away because of it."""

    run_inline = True
    raise_error = True

    def __init__(self, school: School) -> None:
        self._db = connect(school.path)

    def write(self, note: str) -> None:
        """Begins a note about a phone call."""
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("INSERT INTO phone_notes (words) VALUES (?)", (note,))

    def finish(self) -> None:
        """Finishes the note."""
        if self._db.in_transaction:
            self._db.execute("COMMIT")

    def close(self) -> None:
        """Finishes the note and goes home."""
        self.finish()
        self._db.close()

    def on_tool_error(self, error: BaseException, **more: Any) -> None:
        self.finish()
