"""Tokens: what a trusted issuer signed binds its tenant, anything else is refused in the same words."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hartonomous import errors
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ISSUER, AUDIENCE = "https://id.example", "hartonomous"
RSA_KEY = rsa.generate_private_key(65537, 2048)
OTHER_RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
SECRET = os.urandom(32)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


KEY_SET = {
    "keys": [
        {**json.loads(RSAAlgorithm.to_jwk(RSA_KEY.public_key())), "kid": "rsa"},
        {**json.loads(ECAlgorithm.to_jwk(EC_KEY.public_key())), "kid": "ec"},
        {"kty": "oct", "k": b64(SECRET), "kid": "shared"},
    ]
}


def claims(**changed: Any) -> dict[str, Any]:
    stated = {"iss": ISSUER, "aud": AUDIENCE, "exp": time.time() + 60, "tenant": "token tenant", **changed}
    return {name: value for name, value in stated.items() if value is not None}


@pytest.fixture(scope="module")
def tenant(connection_of_module):
    run = connection_of_module.execute
    run("select hartonomous.jwt_issuer_put(%s, %s, %s::jsonb)", (ISSUER, AUDIENCE, json.dumps(KEY_SET)))
    return run("select hartonomous.tenant_create('token tenant')").fetchone()[0]


@pytest.fixture(scope="module")
def connection_of_module(dsn):
    import psycopg

    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def pool(client):
    """A client whose role belongs to no tenant."""
    name = f"pool_{os.getpid()}"
    client.connection.execute(f"create role {name} in role hartonomous_writer")
    client.connection.execute(f"set role {name}")
    yield client
    client.connection.execute("reset role")
    client.connection.execute(f"drop role {name}")


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"),
    [(RSA_KEY, "RS256", "rsa"), (EC_KEY, "ES256", "ec"), (SECRET, "HS256", "shared"), (RSA_KEY, "RS256", None)],
)
def test_a_genuine_token_binds_its_tenant(pool, tenant, key, algorithm, kid):
    token = jwt.encode(claims(), key, algorithm, headers={"kid": kid} if kid else None)
    with pool.transaction():
        assert pool.authenticate_jwt(token) == tenant
        assert pool.current_tenant() == tenant
        artifact = pool.ingest_text(f"by token {algorithm} {kid}")
    assert pool.current_tenant() is None
    with pool.transaction():
        pool.authenticate_jwt(jwt.encode(claims(tenant=tenant), key, algorithm))
        assert pool.content(artifact) == f"by token {algorithm} {kid}".encode()


def test_a_scope_claim_narrows(pool, tenant):
    with pool.transaction():
        pool.authenticate_jwt(jwt.encode(claims(scope="openid read"), RSA_KEY, "RS256"))
        assert pool.model_list() == []
    with pytest.raises(errors.NotPermitted), pool.transaction():
        pool.authenticate_jwt(jwt.encode(claims(scope="openid read"), RSA_KEY, "RS256"))
        pool.ingest_text("x")
    with pytest.raises(errors.NotAuthenticated):
        pool.authenticate_jwt(jwt.encode(claims(scope="openid"), RSA_KEY, "RS256"))


def confused() -> str:
    """Signed as HS256 with the RSA public key, which everybody knows."""
    public = RSA_KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    body = f"{b64(json.dumps({'alg': 'HS256', 'kid': 'rsa'}).encode())}.{b64(json.dumps(claims()).encode())}"
    return f"{body}.{b64(hmac.new(public, body.encode(), hashlib.sha256).digest())}"


def edited() -> str:
    head, _, tail = jwt.encode(claims(), RSA_KEY, "RS256").split(".")
    return f"{head}.{b64(json.dumps(claims(tenant='default')).encode())}.{tail}"


REFUSED = {
    "expired": lambda: jwt.encode(claims(exp=time.time() - 1), RSA_KEY, "RS256"),
    "not yet valid": lambda: jwt.encode(claims(nbf=time.time() + 60), RSA_KEY, "RS256"),
    "without expiry": lambda: jwt.encode(claims(exp=None), RSA_KEY, "RS256"),
    "for somebody else": lambda: jwt.encode(claims(aud="another"), RSA_KEY, "RS256"),
    "for nobody": lambda: jwt.encode(claims(aud=None), RSA_KEY, "RS256"),
    "of an unknown issuer": lambda: jwt.encode(claims(iss="https://evil.example"), RSA_KEY, "RS256"),
    "of an unknown tenant": lambda: jwt.encode(claims(tenant="nobody"), RSA_KEY, "RS256"),
    "of the public tenant": lambda: jwt.encode(claims(tenant="public"), RSA_KEY, "RS256"),
    "of no tenant": lambda: jwt.encode(claims(tenant=None), RSA_KEY, "RS256"),
    "of a list of tenants": lambda: jwt.encode(claims(tenant=["token tenant"]), RSA_KEY, "RS256"),
    "by another key": lambda: jwt.encode(claims(), OTHER_RSA_KEY, "RS256"),
    "under another key's id": lambda: jwt.encode(claims(), RSA_KEY, "RS256", headers={"kid": "ec"}),
    "by another algorithm": lambda: jwt.encode(claims(), RSA_KEY, "RS512"),
    "unsigned": lambda: jwt.encode(claims(), None, "none"),
    "confused": confused,
    "edited": edited,
    "cut": lambda: jwt.encode(claims(), RSA_KEY, "RS256")[:-20],
    "junk": lambda: "a.b.c",
    "empty": lambda: "",
    "huge": lambda: "x" * 10_000_000,
    "nested": lambda: f"{b64(b'[' * 5000)}.{b64(b'[' * 5000)}.x",
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(pool, tenant, name):
    with pytest.raises(errors.NotAuthenticated, match="token is not valid"):
        pool.authenticate_jwt(REFUSED[name]())
    assert pool.current_tenant() is None


@pytest.mark.parametrize(
    "key_set",
    [{}, {"keys": []}, {"keys": [{"kty": "oct", "k": b64(b"short")}]}, {"keys": [{"kty": "OKP"}]}, {"keys": [{}]}],
)
def test_a_key_set_without_usable_key(client, key_set):
    with pytest.raises(errors.InvalidParameter, match="no usable key"):
        client.jwt_issuer_put("https://other.example", AUDIENCE, key_set)


def test_an_issuer_is_distrusted(client, tenant, pool):
    token = jwt.encode(claims(), RSA_KEY, "RS256")
    with pool.transaction():
        pool.authenticate_jwt(token)
    client.connection.execute("reset role")
    (issuer,) = client.jwt_issuer_list()
    client.jwt_issuer_drop(issuer.issuer)
    assert client.jwt_issuer_list() == []
    with pytest.raises(errors.NotAuthenticated):
        client.authenticate_jwt(token)
    with pytest.raises(errors.Error, match="is not trusted"):
        client.jwt_issuer_drop(issuer.issuer)
