"""The content store and what it is measured beside: a column of type bytea, large objects."""

from __future__ import annotations

from typing import Any


class System:
    name = ""
    relations = ""  # condition on pg_class: what holds its bytes

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def value(self, query: str, *arguments: Any) -> Any:
        return self.connection.cursor(binary=True).execute(query, arguments).fetchone()[0]

    def write(self, content: bytes) -> int:
        raise NotImplementedError

    def read(self, key: int) -> bytes:
        raise NotImplementedError

    def slice(self, key: int, start: int, length: int) -> bytes:
        raise NotImplementedError

    def size(self) -> int:
        """Heap, TOAST and indexes."""
        return self.value(f"select sum(pg_total_relation_size(oid))::bigint from pg_class where {self.relations}")


class Atoms(System):
    name = "atoms"
    relations = "relnamespace = 'hartonomous'::regnamespace and relkind = 'r'"

    def write(self, content: bytes) -> int:
        return self.value("select hartonomous.ingest(%b)", content)

    def read(self, key: int) -> bytes:
        return self.value("select hartonomous.content(%s)", key)

    def slice(self, key: int, start: int, length: int) -> bytes:
        return self.value("select hartonomous.content_slice(%s, %s, %s)", key, start, length)


class Bytea(System):
    name = "bytea"
    relations = "oid = 'plain.content'::regclass"

    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        key = "id bigint generated always as identity primary key"
        connection.execute(f"create table plain.content ({key}, data bytea)")

    def write(self, content: bytes) -> int:
        return self.value("insert into plain.content (data) values (%b) returning id", content)

    def read(self, key: int) -> bytes:
        return self.value("select data from plain.content where id = %s", key)

    def slice(self, key: int, start: int, length: int) -> bytes:
        return self.value("select substr(data, %s, %s) from plain.content where id = %s", start + 1, length, key)


class LargeObject(System):
    name = "large object"
    relations = "oid = 'pg_largeobject'::regclass"

    def write(self, content: bytes) -> int:
        return self.value("select lo_from_bytea(0, %b)", content)

    def read(self, key: int) -> bytes:
        return self.value("select lo_get(%s::oid)", key)

    def slice(self, key: int, start: int, length: int) -> bytes:
        return self.value("select lo_get(%s::oid, %s, %s)", key, start, length)
