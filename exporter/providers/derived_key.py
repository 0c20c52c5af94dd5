r"""Signatures of requests with a key that is derived for a day, a region and a service.

Several clouds have such a scheme; they differ in a few words, which each cloud's own file gives and links.
    StringToSign     = algorithm \n time \n day/region/service/ends \n hex(sha256(CanonicalRequest))
    Signature        = hex(HMAC(HMAC(HMAC(HMAC(HMAC(prefix + secret, day), region), service), ends), StringToSign))
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from exporter.providers import authorization
from exporter.providers.authorization import ParsedAuthorization, parse, signed_headers
from exporter.providers.encoding import EMPTY_SHA256, hmac_sha256, sha256_hex, utf8


def canonical_request(
    *,
    query: Iterable[tuple[str, str]] = (),
    headers: Mapping[str, str],
    payload_sha256: str = EMPTY_SHA256,
    method: str = "GET",
    path: str = "/",
) -> str:
    """Return CanonicalRequest for exactly the headers to sign; Host loses the ports 80 and 443 only.

    The query is decoded, the path encoded.
    """
    signed = authorization.folded(headers)
    if "host" in signed:
        signed["host"] = signed["host"].removesuffix(":80").removesuffix(":443")
    return authorization.canonical_request(method, path, query, signed, payload_sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """The words in which one cloud's scheme differs from another's.

    Attributes:
        algorithm: The first word of `Authorization`.
        prefix: What stands before the secret in the first key.
        ends: The last word of the scope.
        dated: The header with the time, "YYYYMMDDTHHMMSSZ", in lower case.
    """

    algorithm: str
    prefix: str
    ends: str
    dated: str

    def string_to_sign(self, *, region: str, service: str, time: str, canonical_request: str) -> str:
        """Return StringToSign."""
        scope = f"{time[:8]}/{region}/{service}/{self.ends}"
        return f"{self.algorithm}\n{time}\n{scope}\n{sha256_hex(utf8(canonical_request))}"

    def authorization(
        self,
        *,
        access_key_id: str,
        secret_access_key: str,
        region: str,
        service: str,
        query: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str],
        payload_sha256: str = EMPTY_SHA256,
        method: str = "GET",
        path: str = "/",
    ) -> str:
        """Sign a request and return its `Authorization` header; see `canonical_request`.

        The headers must hold the time; raises `KeyError`.
        """
        time = {name.lower(): value for name, value in headers.items()}[self.dated].strip()
        request = canonical_request(
            query=query, headers=headers, payload_sha256=payload_sha256, method=method, path=path
        )
        text = self.string_to_sign(region=region, service=service, time=time, canonical_request=request)
        day = time[:8]
        signature = hmac_sha256(self.signing_key(secret_access_key, day, region, service), text).hex()
        credential = f"{access_key_id}/{day}/{region}/{service}/{self.ends}"
        return (
            f"{self.algorithm} Credential={credential}, SignedHeaders={signed_headers(request)}, Signature={signature}"
        )

    def parse_authorization(self, text: str) -> ParsedAuthorization | None:
        """Parse an `Authorization` header, whose scope is (day, region, service, `ends`); None if it is malformed."""
        return parse(text, algorithm=self.algorithm, scope_ends=self.ends, scope_parts=4)

    def signing_key(self, secret_access_key: str, day: str, region: str, service: str) -> bytes:
        """Derive the key of a UTC day, "YYYYMMDD"."""
        return derive(f"{self.prefix}{secret_access_key}", day, region, service, self.ends)


@lru_cache(maxsize=64)
def derive(secret: str, *scope: str) -> bytes:
    """Derive a key: each part of the scope is hashed with the key before it."""
    key = utf8(secret)
    for part in scope:
        key = hmac_sha256(key, part)
    return key
