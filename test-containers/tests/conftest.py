"""Fixtures: a service for each test, and the results of undisturbed runs."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Tuple

import pytest
from application import TOP, Application
from mail_server.server import MailServer, Place
from service import Service, free_port

MESSAGES = TOP / "email_solver/mailbox"


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


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """A mail server with the messages of the repository in the office's inbox."""
    # Not below pytest's own directory, which only root may enter if root runs the tests.
    directory = Path(tempfile.mkdtemp(prefix="mail-"))
    try:
        with MailServer(Place(directory, "127.0.0.1", free_port(), free_port()), "nobody") as server:
            server.post(MESSAGES)
            yield server
    finally:
        shutil.rmtree(directory)


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


def solver_of(directory: Path, service: Service, mail: MailServer) -> Application:
    ports = {"SMTP_PORT": str(mail.place.smtp_port), "IMAP_PORT": str(mail.place.imap_port)}
    return Application("email_solver", directory, service, MAIL_HOST=mail.place.host, **ports)


@pytest.fixture
def solver(tmp_path: Path, service: Service, mail: MailServer) -> Iterator[Application]:
    application = solver_of(tmp_path, service, mail)
    yield application
    application.kill()


@pytest.fixture(scope="session")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tuple[Application, MailServer]]:
    """The e-mail application after a run that nothing disturbed, and its mail server."""
    directory = tmp_path_factory.mktemp("answered")
    service = Service(directory)
    with mail_server() as mail:
        application = solver_of(directory, service, mail)
        application.run()
        yield application, mail
    service.kill()
