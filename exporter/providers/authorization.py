r"""What the schemes of several clouds share: the canonical request to sign, and the `Authorization` header to parse.

The names are those of the vendors' documentation, which each scheme's own file links.
    CanonicalRequest = method \n path \n CanonicalQuery \n CanonicalHeaders \n SignedHeaders \n hex(sha256(body))
    CanonicalHeaders = name ":" value "\n" for each signed header, sorted by lower-case name
    SignedHeaders    = those names, joined by ";"
    Authorization    = algorithm " Credential=" id["/" scope] ", SignedHeaders=" names ", Signature=" hex
"""

import base64
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from exporter.fields import SecretSource
from exporter.model import Credentials
from exporter.providers.encoding import canonical_query, utf8
from exporter.providers.interface import ConfigWarning

Pairs = Iterable[tuple[str, str]]
"""Names and values."""


class ParsedAuthorization(NamedTuple):
    """The parts of an `Authorization` header, all in ASCII; nothing is verified yet."""

    algorithm: str
    credential: str  # the key's id, without the scope
    scope: tuple[str, ...]  # what follows the id, split at the slashes; empty where the scheme has none
    signed_headers: tuple[str, ...]
    signature: str  # in hex


def canonical_block(headers: Pairs) -> str:
    """Return CanonicalHeaders, an empty line and SignedHeaders; the names must be in lower case."""
    ordered = sorted(headers)
    lines = "".join([f"{name}:{value}\n" for name, value in ordered])
    return f"{lines}\n{';'.join([name for name, _ in ordered])}"


def folded(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers as they are signed: names in lower case, values without blanks around them."""
    return {name.lower(): value.strip() for name, value in headers.items()}


def canonical_request(method: str, path: str, query: Pairs, headers: Mapping[str, str], payload_sha256: str) -> str:
    """Return CanonicalRequest for exactly the headers to sign, folded. The query is decoded, the path encoded."""
    block = canonical_block(headers.items())
    return f"{method}\n{path}\n{canonical_query(query)}\n{block}\n{payload_sha256}"


def signed_headers(canonical_request: str) -> str:
    """Return SignedHeaders from a canonical request: its last line but one."""
    return canonical_request.rsplit("\n", 2)[1]


def parse(
    text: str, *, algorithm: str, scope_ends: str = "", scope_parts: int = 0, key: str = "Credential"
) -> ParsedAuthorization | None:
    """Parse an `Authorization` header; None if it is malformed.

    The scheme's scope has `scope_parts` parts, of which the last is `scope_ends`; `key` names the id's field.
    """
    scheme, _, rest = text.partition(" ")
    pieces = (piece.strip().partition("=") for piece in rest.split(","))
    fields = {name: value for name, _, value in pieces}
    needed = (key, "SignedHeaders", "Signature")
    if not text.isascii() or scheme != algorithm or rest.count(",") != 2 or not all(map(fields.get, needed)):
        return None
    credential, *scope = fields[key].split("/")
    names = tuple(fields["SignedHeaders"].split(";"))
    if not all((credential, *scope, *names)) or len(scope) != scope_parts or (scope_ends and scope[-1] != scope_ends):
        return None
    return ParsedAuthorization(algorithm, credential, tuple(scope), names, fields["Signature"])


# --- HTTP's own schemes -----------------------------------------------------------------------------------------------


def http_authorization(username: str | None, credentials: Credentials) -> dict[str, str]:
    """Return the `Authorization` header of a token, else of a name and password; none without.

    Basic: https://www.rfc-editor.org/rfc/rfc7617, Bearer: https://www.rfc-editor.org/rfc/rfc6750
    """
    if credentials.token is not None:
        return {"Authorization": f"Bearer {credentials.token.reveal()}"}
    if username is None:
        return {}
    pair = utf8(f"{username}:{credentials.key_secret.reveal()}")
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def http_warnings(
    username: str | None, password: SecretSource | None, token: SecretSource | None = None
) -> Iterator[ConfigWarning]:
    """Find fields of an account that `http_authorization` does not send."""
    if token is not None:
        for field, value in (("username", username), ("password", password)):
            if value is not None:
                yield ConfigWarning(field, "is not sent, because the account has a token")
    elif password is not None and username is None:
        yield ConfigWarning("password", "is not sent without username")


def parse_basic(text: str) -> ParsedAuthorization | None:
    """Parse an `Authorization` header with a name and password, the latter as `signature`; None if it is malformed."""
    scheme, _, word = text.partition(" ")
    try:
        name, colon, password = base64.b64decode(word, validate=True).decode().partition(":")
    except ValueError:
        return None
    return ParsedAuthorization(scheme, name, (), (), password) if scheme.lower() == "basic" and colon else None
