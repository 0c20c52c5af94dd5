"""Signature version 4 of AWS: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html."""

from exporter.providers.derived_key import Scheme

SCHEME = Scheme(algorithm="AWS4-HMAC-SHA256", prefix="AWS4", ends="aws4_request", dated="x-amz-date")
