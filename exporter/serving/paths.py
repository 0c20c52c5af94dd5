"""What the server's paths are to others; `App` has them all."""

from typing import Final

OPEN: Final = frozenset(("/-/healthy", "/-/ready"))
"""Without password, rate limit or prefix: a kubelet or a load balancer has none of them."""

TAKEN: Final = ("/", "/probe", "/sd", "/config", "/api/", "/callbacks/", "/static/", "/-/")
"""Those that the metrics cannot have, with all below them that end in a slash."""


def is_taken(path: str) -> bool:
    """Whether a path has a page of its own that is not the metrics."""
    return path in TAKEN or path.startswith(tuple(one for one in TAKEN[1:] if one.endswith("/")))
