r"""The two header shapes that the schemes share: the canonical block that is signed, and `Authorization` taken apart.

Called "CanonicalHeaders" and "SignedHeaders" in the vendors' documentation (see the scheme's own file for the link).
    CanonicalHeaders = name ":" value "\n" for each signed header, sorted by lower-case name
    SignedHeaders    = those names, joined by ";"
    Authorization    = algorithm " Credential=" id["/" scope] ", SignedHeaders=" names ", Signature=" hex
"""

from collections.abc import Iterable
from typing import NamedTuple

_FIELDS = ("Credential", "SignedHeaders", "Signature")


class ParsedAuthorization(NamedTuple):
    """The parts of an `Authorization` header, as they were received: nothing is verified yet.

    Attributes:
        algorithm: the scheme's word, such as `TC3-HMAC-SHA256`.
        credential: the public id of the key, without the scope.
        scope: what follows the id, split at the slashes; empty where the scheme has none.
        signed_headers: names in the order of the header.
        signature: the digest in hex; ASCII, so that it may go to `hmac.compare_digest`.
    """

    algorithm: str
    credential: str
    scope: tuple[str, ...]
    signed_headers: tuple[str, ...]
    signature: str


def canonical_block(headers: Iterable[tuple[str, str]]) -> str:
    """Write CanonicalHeaders, the empty line that ends them, and SignedHeaders; names are in lower case already."""
    ordered = sorted(headers)
    lines = "".join([f"{name}:{value}\n" for name, value in ordered])
    return f"{lines}\n{';'.join([name for name, _ in ordered])}"


def signed_headers(canonical_request: str) -> str:
    """Read SignedHeaders back from a canonical request: its last line but one."""
    return canonical_request.rsplit("\n", 2)[1]


def parse(text: str, *, algorithm: str, scope_ends: str = "", scope_parts: int = 0) -> ParsedAuthorization | None:
    """Take an `Authorization` header from anybody apart, or answer None where it does not have the scheme's shape.

    The scope of the scheme has so many parts, and the last of them is fixed.
    """
    scheme, _, rest = text.partition(" ")
    pieces = (piece.strip().partition("=") for piece in rest.split(","))
    fields = {name: value for name, _, value in pieces}
    if not text.isascii() or scheme != algorithm or rest.count(",") != 2 or not all(map(fields.get, _FIELDS)):
        return None
    credential, *scope = fields["Credential"].split("/")
    names = tuple(fields["SignedHeaders"].split(";"))
    if not all((credential, *scope, *names)) or len(scope) != scope_parts or (scope_ends and scope[-1] != scope_ends):
        return None
    return ParsedAuthorization(algorithm, credential, tuple(scope), names, fields["Signature"])
