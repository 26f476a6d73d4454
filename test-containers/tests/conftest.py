"""A service for each test, and what undisturbed runs did."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Iterator

import pytest
from application import Application
from service import Service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path)
    yield service
    service.kill()


@pytest.fixture
def customer(tmp_path: Path, service: Service) -> Iterator[Application]:
    application = Application("fly_achensee_customer", tmp_path, service)
    yield application
    application.kill()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """The customer application after a run that nothing disturbed: what the others are compared with."""
    directory = tmp_path_factory.mktemp("undisturbed")
    service = Service(directory)
    application = Application("fly_achensee_customer", directory, service)
    application.run()
    yield application
    service.kill()


Window = Callable[[str, str], int]


@pytest.fixture(scope="session")
def number_of(undisturbed: Application) -> Window:
    """The number of the first line of a kind whose key begins so. The application is deterministic: it is always this."""

    def number(kind: str, begins: str) -> int:
        found = (line["n"] for line in undisturbed.lines() if line["kind"] == kind and _starts(line["key"], begins))
        return int(next(found))

    return number


def _starts(key: list[object], begins: str) -> bool:
    return " ".join(str(part) for part in key).startswith(begins)
