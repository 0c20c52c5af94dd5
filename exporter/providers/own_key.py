r"""Signatures of requests with the secret itself as the key.

Several clouds have such a scheme; they differ in a few words, which each cloud's own file gives and links.
    StringToSign = algorithm [\n time] \n hex(sha256(CanonicalRequest))
    Signature    = hex(HMAC(secret, StringToSign))
"""

from dataclasses import dataclass

from exporter.providers.authorization import ParsedAuthorization, parse, signed_headers
from exporter.providers.encoding import hmac_sha256, sha256_hex, utf8


@dataclass(frozen=True, slots=True)
class Scheme:
    """The words in which one cloud's scheme differs from another's.

    Attributes:
        algorithm: The first word of `Authorization`.
        key: The name of the id's field there.
        gap: What stands between the fields there.
    """

    algorithm: str
    key: str = "Credential"
    gap: str = ","

    def string_to_sign(self, canonical_request: str, time: str = "") -> str:
        """Return StringToSign, with the time where the scheme has one."""
        dated = f"{time}\n" if time else ""
        return f"{self.algorithm}\n{dated}{sha256_hex(utf8(canonical_request))}"

    def authorization(self, key_id: str, secret: str, canonical_request: str, time: str = "") -> str:
        """Sign a request and return its `Authorization` header."""
        signature = hmac_sha256(utf8(secret), self.string_to_sign(canonical_request, time)).hex()
        names = signed_headers(canonical_request)
        fields = (f"{self.key}={key_id}", f"SignedHeaders={names}", f"Signature={signature}")
        return f"{self.algorithm} {self.gap.join(fields)}"

    def parse_authorization(self, text: str) -> ParsedAuthorization | None:
        """Parse an `Authorization` header, which has no scope; None if it is malformed."""
        return parse(text, algorithm=self.algorithm, key=self.key)
