"""Databases for the tests: one template with the extension, cloned for every module that asks."""

import os
import sys
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the helper modules beside this file

import hartonomous
from cluster import Server


@pytest.fixture(scope="session")
def server():
    """The server that HARTONOMOUS_DSN names."""
    return Server(os.environ["HARTONOMOUS_DSN"])


@pytest.fixture(scope="session")
def template(server):
    """A database with the extension and tenant 1, for which postgres acts; nobody connects to it."""
    name = f"test_template_{os.getpid()}"
    server.create(name, extension=True)
    yield name
    server.drop(name)


@pytest.fixture(scope="module")
def dsn(server, template, request):
    """The module's own database."""
    name = f"test_{os.getpid()}_{request.module.__name__.rpartition('.')[2]}"[:63]
    server.create(name, template=template)
    yield server.dsn(name)
    server.drop(name)


@pytest.fixture
def connection(dsn):
    """A psycopg connection in autocommit mode."""
    with psycopg.connect(dsn, autocommit=True) as opened:
        yield opened


@pytest.fixture
def client(dsn):
    with hartonomous.connect(dsn) as opened:
        yield opened
