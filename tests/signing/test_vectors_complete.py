"""No vector is lost on its way from the files into the tests."""

import pytest

from . import (
    test_acs3,
    test_acs_rpc,
    test_callback_signatures,
    test_derived_key,
    test_sdk,
    test_tc3,
    test_volc,
    test_zego_signature,
)
from .known_answers import FOLDER, load

COUNTS = {
    "alibaba": {"vectors": 20, "published": 3, "legacy_sdk": 2, "callbacks": 2},
    "huawei": {"vectors": 10, "callbacks": 3},
    "ivs": {"vectors": 8},
    "tencent": {"vectors": 31, "callbacks": 3},
    "volcengine": {"vectors": 27},
    "volcengine_live": {"vectors": 5},
    "zego": {"request_vectors": 12, "callback_vectors": 6, "callback_bodies": 2},
}


@pytest.mark.parametrize("file", COUNTS)
def test_counts(file: str) -> None:
    """Each file holds as many vectors as it was delivered with, in the groups that the tests read."""
    groups = {name: len(group) for name, group in load(file).items() if isinstance(group, (list, dict))}
    anchors = {"published_anchor", "request_anchor", "callback_anchor"}
    assert {name: count for name, count in groups.items() if name not in anchors} == COUNTS[file]


def test_every_file_is_counted() -> None:
    """A file that is added must be counted here, and so be tested."""
    assert {path.stem for path in FOLDER.glob("*.json")} == {*COUNTS, "tencent_callback_samples"}


def test_every_vector_is_used() -> None:
    """The lists that the tests are parametrised with are the whole of the files; none has the name of another."""
    alibaba = load("alibaba")
    known = [vector["id"] for group in ("vectors", "published", "legacy_sdk") for vector in alibaba[group]]
    used = [vector["id"] for vector in test_acs3.VECTORS + test_acs_rpc.VECTORS]
    assert sorted(used) == sorted(known)
    assert len(set(used)) == 25
    assert len({vector["id"] for vector in test_sdk.VECTORS}) == 10
    assert len({vector["name"] for vector in test_tc3.VECTORS}) == 31
    assert len({vector["name"] for vector in test_volc.VECTORS}) == 27
    assert len({vector["name"] for vector in test_derived_key.OF_IVS}) == 8
    assert len({vector["name"] for vector in test_derived_key.OF_LIVE}) == 5
    assert len({vector["name"] for vector in test_zego_signature.VECTORS}) == 13
    assert (len(test_callback_signatures.TENCENT), len(test_callback_signatures.BODIES)) == (3, 2)
    assert len(test_callback_signatures.HUAWEI) == 3
