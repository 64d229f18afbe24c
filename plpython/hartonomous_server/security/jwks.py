"""JSON Web Tokens (RFC 7519), verified by PyJWT against the key sets of trusted issuers."""

from __future__ import annotations

import json
from typing import Any

from hartonomous_server import errors
from hartonomous_server.db import query

# One algorithm per kind of key: a token cannot choose to have a public key used as a shared secret.
ALGORITHMS = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("oct", None): "HS256"}
SECRET_BYTES = 32
TOKEN_BYTES = 16384  # what the parser of JSON nests is bounded by it


def check(jwks: str) -> int:
    """Number of usable keys of a key set."""
    usable = len(_keys(json.loads(jwks) if jwks else {}))
    if not usable:
        hint = 'expected {"keys": [...]} with RSA, P-256 or oct keys'
        raise errors.InvalidParameter("key set has no usable key", hint=hint)
    return usable


class Refusal(Exception):
    """Why a token is not valid."""


def verify(db: Any, token: str | None) -> tuple[str | None, str | None, str | None, str | None]:
    """Issuer, tenant claim and scope claim of a token that is genuine, current and meant for us; else why it is not."""
    try:
        return *_verified(db, token), None
    except Refusal as refusal:
        return None, None, None, str(refusal)


def _verified(db: Any, token: str | None) -> tuple[str, str, str | None]:
    import jwt

    token = token or ""
    if len(token) > TOKEN_BYTES:
        raise Refusal(f"it has {len(token)} characters, at most {TOKEN_BYTES} are read")
    try:
        header = jwt.get_unverified_header(token)
        issuer = str(jwt.decode(token, options={"verify_signature": False}).get("iss"))
    except (jwt.InvalidTokenError, RecursionError) as error:
        raise Refusal(str(error)) from None
    sql = "select audience, jwks, tenant_claim from hartonomous.jwt_issuer where issuer = $1"
    rows = query(db, sql, ("text", issuer))
    if not rows:
        raise Refusal("its issuer is not trusted")
    reason = "no key of the issuer has its key id and algorithm"
    for key_id, algorithm, key in _keys(json.loads(rows[0]["jwks"])):
        if algorithm != header.get("alg") or header.get("kid") not in (None, key_id):
            continue
        try:
            claims = jwt.decode(token, key, algorithms=[algorithm], audience=rows[0]["audience"], issuer=issuer,
                                options={"require": ["exp", "iss", "aud"]})
            return issuer, _text(claims.get(rows[0]["tenant_claim"])), claims.get("scope")
        except jwt.InvalidTokenError as error:
            reason = str(error)
    raise Refusal(reason)


def _keys(jwks: Any) -> list[tuple[str | None, str, Any]]:
    """(key id, algorithm, key) of each usable signature key."""
    import jwt

    found = []
    for item in jwks.get("keys", []) if isinstance(jwks, dict) else []:
        kind = item.get("kty")
        algorithm = ALGORITHMS.get((kind, item.get("crv") if kind == "EC" else None))
        if algorithm is None or item.get("use", "sig") != "sig" or item.get("alg", algorithm) != algorithm:
            continue
        try:
            key = jwt.PyJWK(item, algorithm).key
        except (jwt.PyJWKError, jwt.InvalidKeyError):
            continue
        if algorithm != "HS256" or len(key) >= SECRET_BYTES:
            found.append((item.get("kid"), algorithm, key))
    return found


def _text(claim: Any) -> str:
    if not isinstance(claim, (str, int)) or isinstance(claim, bool):
        raise Refusal("it names no tenant")
    return str(claim)
