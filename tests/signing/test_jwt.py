"""JSON Web Tokens: the best known one, and what must not pass for one."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

import pytest

from exporter.providers import jwt

# From https://jwt.io, which has shown it for years.
SECRET = "your-256-bit-secret"
CLAIMS = {"sub": "1234567890", "name": "John Doe", "iat": 1516239022}
HEAD = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ"
TOKEN = f"{HEAD}.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"


def packed(value: Any) -> str:
    """Encode a part of a token."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed(header: Any, claims: Any = CLAIMS) -> str:
    """Return a token with any header, signed well by HMAC-SHA256."""
    head = f"{packed(header)}.{packed(claims)}"
    signature = hmac.digest(SECRET.encode(), head.encode(), "sha256")
    return f"{head}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def test_the_best_known_token_is_made_and_read() -> None:
    """To the last character; its claims are read without the secret, too."""
    assert jwt.encode(CLAIMS, SECRET) == TOKEN
    assert jwt.decode(TOKEN, SECRET) == jwt.decode(TOKEN, None) == CLAIMS
    assert jwt.decode(signed({"typ": "JWT", "alg": "HS256"}), SECRET) == CLAIMS


@pytest.mark.parametrize(
    "token",
    [
        "", "a.b", "..", f"{HEAD}.", HEAD, f"{TOKEN}.x", f" {TOKEN}", f"{TOKEN}\n", f"{TOKEN}=", f"Bearer {TOKEN}",
        TOKEN[:-1], f"{TOKEN[:-1]}d", TOKEN.replace("eyJzdWIi", "eyJzdWJi"), "\ud800.b.c", "a.b.ü", "a.b.c",
        signed({"alg": "none"}), signed({"alg": "HS512"}), signed({"alg": "hs256"}), signed({}), signed([]),
        signed({"alg": ["HS256"]}), signed({"alg": "HS256"}, []), signed({"alg": "HS256"}, 1),
    ],
)  # fmt: skip
def test_what_is_no_token_of_ours_is_refused(token: str) -> None:
    """Another algorithm, another signature, and whatever is not three parts of base64url with two objects."""
    with pytest.raises(ValueError, match=r"."):
        jwt.decode(token, SECRET)


def test_another_secret_is_refused() -> None:
    """The signature is compared, with any secret."""
    for secret in ("", "another", f"{SECRET} "):
        with pytest.raises(ValueError, match="another signature"):
            jwt.decode(TOKEN, secret)
