r"""Volcengine's OpenAPI signature, HMAC-SHA256 in the header: https://www.volcengine.com/docs/6369/67270.

Like AWS version 4, but without a prefix to the secret. The signing key changes every UTC day.
    CanonicalRequest = method \n path \n CanonicalQuery \n CanonicalHeaders \n SignedHeaders \n hex(sha256(body))
    StringToSign     = "HMAC-SHA256" \n X-Date \n date/region/service/request \n hex(sha256(CanonicalRequest))
    Signature        = hex(HMAC(HMAC(HMAC(HMAC(HMAC(SecretKey, date), region), service), "request"), StringToSign))
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from exporter.providers.authorization import ParsedAuthorization, canonical_block, parse, signed_headers
from exporter.providers.encoding import EMPTY_SHA256, canonical_query, hmac_sha256, sha256_hex, utf8

ALGORITHM = "HMAC-SHA256"


def canonical_request(
    *,
    query: Iterable[tuple[str, str]],
    headers: Mapping[str, str],
    payload_sha256: str = EMPTY_SHA256,
    method: str = "GET",
    path: str = "/",
) -> str:
    """Return CanonicalRequest for exactly the headers to sign; Host loses the ports 80 and 443 only.

    The query is decoded, the path encoded.
    """
    folded = {name.lower(): value.strip() for name, value in headers.items()}
    if "host" in folded:
        folded["host"] = folded["host"].removesuffix(":80").removesuffix(":443")
    return f"{method}\n{path}\n{canonical_query(query)}\n{canonical_block(folded.items())}\n{payload_sha256}"


def string_to_sign(*, region: str, service: str, x_date: str, canonical_request: str) -> str:
    """Return StringToSign."""
    scope = f"{x_date[:8]}/{region}/{service}/request"
    return f"{ALGORITHM}\n{x_date}\n{scope}\n{sha256_hex(utf8(canonical_request))}"


def authorization(
    *,
    access_key_id: str,
    secret_access_key: str,
    region: str,
    service: str,
    query: Iterable[tuple[str, str]],
    headers: Mapping[str, str],
    payload_sha256: str = EMPTY_SHA256,
    method: str = "GET",
    path: str = "/",
) -> str:
    """Sign a request and return its `Authorization` header; see `canonical_request`.

    The headers must hold X-Date ("YYYYMMDDTHHMMSSZ"); raises `KeyError`.
    """
    x_date = {name.lower(): value for name, value in headers.items()}["x-date"].strip()
    request = canonical_request(query=query, headers=headers, payload_sha256=payload_sha256, method=method, path=path)
    text = string_to_sign(region=region, service=service, x_date=x_date, canonical_request=request)
    day = x_date[:8]
    signature = hmac_sha256(signing_key(secret_access_key, day, region, service), text).hex()
    credential = f"{access_key_id}/{day}/{region}/{service}/request"
    return f"{ALGORITHM} Credential={credential}, SignedHeaders={signed_headers(request)}, Signature={signature}"


def parse_authorization(text: str) -> ParsedAuthorization | None:
    """Parse an `Authorization` header, whose scope is (date, region, service, "request"); None if it is malformed."""
    return parse(text, algorithm=ALGORITHM, scope_ends="request", scope_parts=4)


@lru_cache(maxsize=64)
def signing_key(secret_access_key: str, day: str, region: str, service: str) -> bytes:
    """Derive the key of a UTC day, "YYYYMMDD"."""
    key = hmac_sha256(hmac_sha256(utf8(secret_access_key), day), region)
    return hmac_sha256(hmac_sha256(key, service), "request")
