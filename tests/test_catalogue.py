"""The catalogue of provider codes: complete, readable, and never at a loss."""

import json
import re
import runpy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from exporter.model import Reason, State
from exporter.providers import codes as catalogue
from exporter.providers.codes import Catalogue, Entry

ROOT = Path(__file__).parent.parent
CODES = ROOT / "exporter" / "providers"
PROVIDERS = catalogue.providers()
FROM_A_PROVIDER = {"auth", "account", "throttled", "bad_request", "provider_error", "clock"}
ROW_KEYS = {"meaning", "advice", "zh"}
Listed = dict[tuple[str | None, str], tuple[str | None, str | None]]
CJK = re.compile(r"[\u4e00-\u9fff]")

TEXT = {"meaning": "m", "advice": "a", "zh": {"meaning": "义", "advice": "策"}}
SMALL = {
    "title": "Small",
    "http": {429: "throttled", "5xx": "provider_error"},
    "fallback": [
        {"prefix": "In", "reason": "provider_error", **TEXT},
        {"prefix": "Invalid", "reason": "bad_request", **TEXT},
        {"prefix": "Limit.", "reason": "throttled", **TEXT},
    ],
    "codes": {
        "Denied": {"reason": "auth", **TEXT},
        "InvalidClock": {"reason": "clock", **TEXT},
        "Limit": {"reason": "account", **TEXT},
    },
}


@cache
def known(provider: str) -> list[dict[str, Any]]:
    """Return what each code of a provider must mean, as it was collected from the vendor's pages."""
    file = ROOT / "tests" / "providers" / provider / "codes.json"
    facts: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    assert facts, f"tests/providers/{provider}/codes.json is missing: code, reason or state of each row of codes.yml"
    return facts


def every_entry() -> list[Entry]:
    """Everything the catalogue can say on its own: states, codes, prefixes, reasons and words."""
    loaded = [catalogue.load(provider) for provider in catalogue.providers()]
    rows = [entry for codes in loaded for entry in (*codes.entries(), *codes.fallbacks)]
    return [*rows, *catalogue.reasons(), *catalogue.words()]


def documents() -> list[Path]:
    """All YAML files of the catalogue."""
    return [*sorted(CODES.glob("*/codes.yml")), ROOT / "exporter" / "reasons.yml"]


def test_the_folder_is_the_list_of_providers() -> None:
    """A provider's file of codes is found by its name alone, without registration."""
    assert list(PROVIDERS) == sorted(file.parent.name for file in CODES.glob("*/codes.yml"))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_known_code_is_lost_or_misjudged(provider: str) -> None:
    """Each code of the collected facts stands in the table, with the reason or state it must have."""
    codes = catalogue.load(provider)
    listed = {(entry.family, entry.code): (entry.reason, entry.state) for entry in codes.entries()}
    prefixes = {entry.code: entry.reason for entry in codes.fallbacks}
    wrong = [fact for fact in known(provider) if not _holds(fact, listed, prefixes)]
    assert wrong == []


def _holds(fact: dict[str, Any], listed: Listed, prefixes: dict[str, str | None]) -> bool:
    if fact.get("prefix"):
        return prefixes.get(str(fact["code"])) == str(fact["reason"])
    expected = (fact["reason"], fact.get("state"))
    return listed.get((fact.get("family"), fact["code"])) == expected


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_facts_cover_every_listed_code(provider: str) -> None:
    """A code added to a table comes with its expected reason in the facts, so a slip in either is seen."""
    facts = {(fact.get("family"), fact["code"]) for fact in known(provider) if not fact.get("prefix")}
    assert {(entry.family, entry.code) for entry in catalogue.load(provider).entries()} == facts


def test_english_is_readable() -> None:
    """Meaning and advice are whole sentences that fit on a line of a terminal and into a table of the documentation."""
    for entry in every_entry():
        for text in (entry.meaning, entry.advice):
            assert 10 < len(text) <= 160, entry
            assert re.fullmatch(r"[A-Z][^|\n]+[.?]", text), entry
            assert text.count("`") % 2 == 0, entry
            assert not CJK.search(text), entry


def test_chinese_is_chinese() -> None:
    """No Chinese text is left empty or in English."""
    for entry in every_entry():
        for text in (entry.meaning_zh, entry.advice_zh):
            assert CJK.search(text), entry
            assert text.endswith("。"), entry
            assert text.count("`") % 2 == 0, entry


def test_reasons_and_states_are_of_the_closed_sets() -> None:
    """No table can invent a reason or a state, and no row is both a failure and a definite answer."""
    for entry in every_entry():
        assert entry.reason in {None, *Reason}, entry
        assert entry.state in {None, *State} - {State.UNKNOWN}, entry
        assert None in (entry.reason, entry.state), entry
        assert entry.provider == catalogue.LOCAL or entry.reason in {None, *FROM_A_PROVIDER}, entry


def test_every_reason_is_explained() -> None:
    """Whatever stands in the label `reason` can be explained, local failures included."""
    assert {entry.code for entry in catalogue.reasons()} == set(Reason)
    assert all(entry.reason == entry.code for entry in catalogue.reasons())
    assert catalogue.local("timeout").reason == "timeout"


def test_words_of_labels_are_explained() -> None:
    """The label values `ok` and `other` are no reasons, yet somebody will ask what they mean."""
    assert [(entry.code, entry.reason) for entry in catalogue.words()] == [("ok", None), ("other", None)]
    assert catalogue.local("other").advice
    with pytest.raises(KeyError):
        catalogue.local("tiemout")


def test_an_unknown_provider_is_refused() -> None:
    """A name that is no file of codes is an error, even one that leads to another file."""
    for name in ("nobody", "../../reasons", ""):
        with pytest.raises(KeyError):
            catalogue.load(name)


def test_a_provider_is_read_once() -> None:
    """Asking again costs no parsing."""
    assert catalogue.load("zego") is catalogue.load("zego")


@pytest.mark.parametrize(
    ("action", "code", "family", "reason", "state"),
    [
        ("DescribeRTCStreamState", "0", "media", None, "active"),
        ("DescribeRTCStreamState", "41004", "media", None, "not_found"),
        ("DescribeRTCStreamState", "41006", "media", None, "inactive"),
        ("DescribeRTCStreamState", "3", "media", "auth", None),
        ("DescribeSimpleStreamList", "0", "room", None, None),
        ("DescribeSimpleStreamList", "3", "room", "bad_request", None),
        ("DescribeSimpleStreamList", "207", "room", "throttled", None),
        ("DescribeRTCStreamState", "100000004", "gateway", "clock", None),
        ("DescribeSimpleStreamList", "100000005", "gateway", "auth", None),
    ],
)
def test_the_family_of_the_action_decides(
    action: str, code: str, family: str, reason: str | None, state: str | None
) -> None:
    """ZEGO's numbers are read by the family of the action, those of the gateway the same for all."""
    entry = catalogue.load("zego").lookup(action, code)
    assert (entry.family, entry.reason, entry.state, entry.listed) == (family, reason, state, True)


def test_a_number_of_another_family_is_not_borrowed() -> None:
    """A room's code in answer to a stream query, any to an unknown action, or what only begins like a state."""
    zego = catalogue.load("zego")
    for action, code in (
        ("DescribeRTCStreamState", "207"),
        ("NoSuchAction", "41004"),
        ("", "0"),
        ("DescribeRTCStreamState", "0.5"),
    ):
        entry = zego.lookup(action, code)
        assert (entry.reason, entry.state, entry.listed) == ("provider_error", None, False)


@pytest.mark.parametrize(
    ("provider", "code"), [("tencent", "active"), ("alibaba", "online"), ("volcengine", "State=1")]
)
def test_a_state_is_no_code(provider: str, code: str) -> None:
    """An error that calls itself like a state stays a failure; only `explain` knows states by their value."""
    codes = catalogue.load(provider)
    assert codes.lookup("", code).reason == "provider_error"
    assert [entry.state for entry in codes.explain(code)] == ["active"]


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("Internal.Foo", 400, "provider_error"),
        ("InvalidFoo", 500, "bad_request"),
        ("Denied.ByPolicy", 500, "auth"),
        ("InvalidClock.Late", 400, "clock"),
        ("Invalid.Clock", 400, "bad_request"),
        ("Limit.Soft", 400, "throttled"),
        ("DeniedByPolicy", 429, "throttled"),
        ("Whatever", 429, "throttled"),
        ("Whatever", 503, "provider_error"),
        ("Whatever", 418, "provider_error"),
        ("", 429, "throttled"),
        ("denied", 200, "provider_error"),
    ],
)
def test_unlisted_codes_fall_back(code: str, status: int, reason: str) -> None:
    """Longest prefix, or the listed code before the dot if that is longer; then the status; then provider_error."""
    entry = Catalogue("small", SMALL).lookup("Any", code, status)
    assert (entry.reason, entry.code, entry.provider, entry.listed) == (reason, code, "small", False)
    assert catalogue.label(entry) == "other"


def test_a_prefix_comes_before_a_code_of_the_same_length() -> None:
    """The listed code before the dot counts only where it says more than the prefix."""
    rows = {
        "fallback": [{"prefix": "Same", "reason": "throttled", **TEXT}],
        "codes": {"Same": {"reason": "auth", **TEXT}},
    }
    assert Catalogue("made-up", {"title": "Same", **rows}).lookup("Any", "Same.More").reason == "throttled"


@pytest.mark.parametrize(
    ("provider", "code", "status", "reason"),
    [
        ("tencent", "AuthFailure.Brandnew", 200, "auth"),
        ("tencent", "RequestLimitExceeded.Brandnew", 200, "throttled"),
        ("tencent", "ResourceNotFound.Brandnew", 200, "bad_request"),
        ("tencent", "Brandnew", 200, "provider_error"),
        ("alibaba", "Throttling.Brandnew", 400, "throttled"),
        ("alibaba", "Forbidden.Brandnew", 400, "auth"),
        ("alibaba", "MissingDomainName", 400, "bad_request"),
        ("alibaba", "InvalidDomainName.Malformed", 400, "bad_request"),
        ("alibaba", "InvalidSecurityToken.Brandnew", 400, "auth"),
        ("alibaba", "OperationDenied.Brandnew", 403, "account"),
        ("alibaba", "Brandnew", 403, "auth"),
        ("alibaba", "Brandnew", 404, "bad_request"),
        ("volcengine", "InternalError.GetAutoTriggerPolicyFailed", 200, "provider_error"),
        ("volcengine", "RequestLimitExceeded.Brandnew", 200, "throttled"),
        ("volcengine", "Brandnew", 429, "throttled"),
        ("volcengine", "Brandnew", 502, "provider_error"),
    ],
)
def test_tomorrows_codes_get_a_reason(provider: str, code: str, status: int, reason: str) -> None:
    """A code that a provider adds after this release is still judged by its kind, and is no new label value."""
    entry = catalogue.load(provider).lookup("", code, status)
    assert (entry.reason, catalogue.label(entry)) == (reason, "other")


FAMILIES = {
    "title": "Two families",
    "state_field": "Status",
    "families": {"Ask": "single", "List": "lists"},
    "states": {"single": {"up": {"state": "active", **TEXT}}, "lists": {1: {"state": "inactive", **TEXT}}},
    "codes": {
        "single": {7: {"reason": "auth", **TEXT}, "8": {"reason": "account", **TEXT}},
        "lists": {7: {"reason": "clock", **TEXT}},
        "gateway": {"8": {"reason": "throttled", **TEXT}},
    },
}


def row(code: str, reason: str | None, state: str | None = None, family: str | None = None, **fields: Any) -> Entry:
    """Return an entry of a made-up table."""
    return Entry(**{"provider": "made-up", "meaning_zh": "义", "advice_zh": "策", "meaning": "m", "advice": "a",
                    "code": code, "reason": reason, "state": state, "family": family, **fields})  # fmt: skip


def test_a_table_is_read_as_it_is_written() -> None:
    """Every field of a row arrives where it belongs, states first; numbers become text; prefixes are longest first."""
    nested, flat = Catalogue("made-up", FAMILIES), Catalogue("made-up", SMALL)
    assert list(nested.entries()) == [
        row("up", None, "active", "single"),
        row("1", None, "inactive", "lists"),
        row("7", "auth", family="single"),
        row("8", "account", family="single"),
        row("7", "clock", family="lists"),
        row("8", "throttled", family="gateway"),
    ]
    assert [(one.provider, one.title, one.state_field) for one in (nested, flat)] == [
        ("made-up", "Two families", "Status"),
        ("made-up", "Small", None),
    ]
    assert [row("Denied", "auth"), row("InvalidClock", "clock"), row("Limit", "account")] == list(flat.entries())
    assert flat.fallbacks == [
        row("Invalid", "bad_request", listed=False),
        row("Limit.", "throttled", listed=False),
        row("In", "provider_error", listed=False),
    ]
    assert flat.http == {"429": "throttled", "5xx": "provider_error"}
    assert (nested.fallbacks, nested.http, list(Catalogue("made-up", {"title": "Empty"}).entries())) == ([], {}, [])


@pytest.mark.parametrize(
    ("action", "code", "family", "reason"),
    [
        ("Ask", "7", "single", "auth"),
        ("List", "7", "lists", "clock"),
        ("Ask", "8", "gateway", "throttled"),
        ("Else", "8", "gateway", "throttled"),
        ("Else", "7", None, "provider_error"),
        ("Ask", "up", None, "provider_error"),
        ("List", "1", None, "provider_error"),
    ],
)
def test_a_code_is_looked_up_where_it_belongs(action: str, code: str, family: str | None, reason: str) -> None:
    """The gateway comes before the action's own family; no other family and no value of a state is looked at."""
    codes = Catalogue("made-up", FAMILIES)
    entry = codes.lookup(action, code)
    assert (entry.family, entry.reason, entry.provider, entry.code) == (family, reason, "made-up", code)
    assert (codes.family("Ask"), codes.family("Else")) == ("single", None)


def test_a_state_without_a_field_of_its_own_is_a_code() -> None:
    """Where the cloud has no field for states, its code tells them, and is looked up as such."""
    codes = Catalogue("made-up", {"title": "Codes", "states": {0: {"state": "active", **TEXT}}})
    assert codes.lookup("Any", "0") == row("0", None, "active")
    assert codes.lookup("Any", "0.5").reason == "provider_error"


def test_what_only_resembles_a_code_is_explained_by_what_it_resembles() -> None:
    """A guess is explained with the words of its row, once, and under the code that was asked about."""
    codes = Catalogue("made-up", SMALL)
    assert codes.explain("Denied") == [row("Denied", "auth")]
    assert codes.explain("Denied.Again") == [row("Denied.Again", "auth", listed=False)]
    assert codes.explain("Limit.Soft.Again") == [row("Limit.Soft.Again", "throttled", listed=False)]
    assert codes.explain("Denied.Too.Often") == [row("Denied.Too.Often", "auth", listed=False)]
    assert codes.explain("Nothing") == []
    unknown = codes.lookup("Any", "Nothing", 418)
    assert catalogue.local("provider_error").meaning != unknown.meaning
    assert (unknown.state, unknown.family, unknown.listed, unknown.reason) == (None, None, False, "provider_error")
    limited = catalogue.local("throttled")
    assert codes.lookup("Any", "Nothing", 429).meaning == limited.meaning


def test_the_files_of_the_catalogue_are_read() -> None:
    """Each provider's own file and the exporter's are found and read anew, whoever read them before."""
    for remembered in (catalogue.load, catalogue._own, catalogue.providers):
        remembered.cache_clear()
    assert catalogue.providers() == PROVIDERS
    assert (catalogue.load("alibaba").title, catalogue.load("alibaba").state_field) == (
        "Alibaba ApsaraVideo Live", "StreamState",
    )  # fmt: skip
    own = yaml.safe_load((ROOT / "exporter" / "reasons.yml").read_text(encoding="utf-8"))
    for entry in (*catalogue.reasons(), *catalogue.words()):
        told = (own["reasons"] | own["words"])[entry.code]
        assert (entry.provider, entry.family, entry.state, entry.listed) == ("exporter", None, None, True)
        assert (entry.meaning, entry.advice, entry.meaning_zh) == (
            told["meaning"],
            told["advice"],
            told["zh"]["meaning"],
        )


@given(
    provider=st.sampled_from(PROVIDERS),
    action=st.sampled_from(["", "DescribeRTCStreamState", "DescribeSimpleStreamList", "GetUserStreamState"]),
    code=st.text() | st.from_regex(r"(Invalid|Throttling|Forbidden|InternalError)?\.?\w{0,8}(\.\w{0,8})?"),
    status=st.integers(),
)
def test_any_code_has_an_answer(provider: str, action: str, code: str, status: int) -> None:
    """Whatever a provider sends, the look-up answers, and only known codes can become labels."""
    codes = catalogue.load(provider)
    entry = codes.lookup(action, code, status)
    assert entry.code == code
    assert entry.provider == provider
    assert entry.meaning
    assert catalogue.label(entry) in {"other", *(known.code for known in codes.entries())}
    assert entry.listed or entry.reason in FROM_A_PROVIDER


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_code_explains_itself(provider: str) -> None:
    """`explain` finds each listed code, in every family that has it, and each is its own label."""
    codes = catalogue.load(provider)
    for entry in codes.entries():
        assert entry in codes.explain(entry.code)
        assert catalogue.label(entry) == entry.code


def test_explain_shows_every_family() -> None:
    """A number with several meanings is shown with all of them."""
    families = {entry.family: entry.reason for entry in catalogue.load("zego").explain("3")}
    assert families == {"media": "auth", "room": "bad_request", "media_file": "account"}


def test_explain_flags_what_it_only_guesses() -> None:
    """A code known by its prefix alone is explained but flagged; one that fits nothing is not explained."""
    (guess,) = catalogue.load("alibaba").explain("Throttling.Brandnew")
    assert (guess.code, guess.reason, guess.listed) == ("Throttling.Brandnew", "throttled", False)
    assert len(Catalogue("small", {**SMALL, "families": {"A": "a"}, "codes": {"a": {}, "b": {}}}).explain("Inner")) == 1
    assert catalogue.load("alibaba").explain("Brandnew") == []
    assert catalogue.load("zego").explain("999") == []


@pytest.mark.parametrize("file", documents(), ids=lambda file: file.name)
def test_no_key_stands_twice(file: Path) -> None:
    """YAML keeps the last of two equal keys silently, so a repeated code would hide a row."""
    assert _repeated(yaml.compose(file.read_text(encoding="utf-8"))) == []


def _repeated(node: yaml.Node | None) -> list[str]:
    if isinstance(node, yaml.SequenceNode):
        return [key for child in node.value for key in _repeated(child)]
    if not isinstance(node, yaml.MappingNode):
        return []
    keys = [key.value for key, _ in node.value]
    twice = [key for key in set(keys) if keys.count(key) > 1]
    return twice + [key for _, child in node.value for key in _repeated(child)]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_rows_carry_known_keys_only(provider: str) -> None:
    """A misspelt key in a table is found here and not by its absence in front of a user."""
    document = yaml.safe_load((CODES / provider / "codes.yml").read_text(encoding="utf-8"))
    assert set(document) <= {"title", "state_field", "states", "fallback", "http", "families", "codes"}
    # Where states are values of a field, some may be told by codes all the same.
    told = ["reason", "state"] if "state_field" in document else ["reason"]
    for section, verdicts in (("states", ["state"]), ("codes", told)):
        tables = document[section].values() if "families" in document else [document[section]]
        for code, row in [pair for table in tables for pair in table.items()]:
            assert set(row) in [ROW_KEYS | {verdict} for verdict in verdicts], code
            assert set(row["zh"]) == {"meaning", "advice"}, code
    assert all(set(row) == ROW_KEYS | {"prefix", "reason"} for row in document.get("fallback", []))
    assert set(document.get("http", {}).values()) <= FROM_A_PROVIDER


def test_the_page_of_codes_is_fresh() -> None:
    """The page of codes says what the catalogue says: run `make docs` after a change."""
    page = runpy.run_path(str(ROOT / "docs" / "generate_codes.py"))["render"]()
    assert (ROOT / "docs" / "codes.md").read_text(encoding="utf-8") == page
