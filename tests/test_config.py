"""The configuration: everything that is right is taken, everything that is wrong is told of at once, and no secret."""

from __future__ import annotations

import contextlib
import gc
import json
import pickle
import re
import runpy
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from exporter.config import (
    Config,
    ConfigErrors,
    CredentialsMissing,
    Problem,
    Scrape,
    load,
    redacted_slices,
    schema,
    secret,
)
from exporter.config.document import DEEPEST, LARGEST, Format, read_document
from exporter.config.positions import locate
from exporter.config.problems import MOST
from exporter.config.secret_values import secret_fields
from exporter.credentials.fields import configured as credentials
from exporter.fields import Secret, SecretSource, carries_credential, format_duration, parse_duration
from exporter.model import Account
from exporter.providers import all_providers
from exporter.providers.interface import AnyProvider

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "tests" / "config"
GOOD = sorted((SAMPLES / "good").glob("*.yml"))
BAD = sorted((SAMPLES / "bad").glob("*.yml"))
SAYABLE = [path for path in BAD if "# schema: cannot say" not in path.read_text(encoding="utf-8")]
PROVIDERS = all_providers()
PARSERS = [yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)]
CANARY = "CANARY"
ENVIRONMENT = {
    name: f"value-of-{name}" for each in PROVIDERS.values() for names in each.environment.values() for name in names
}
HEAD = """\
accounts:
  - {name: t, provider: tencent, secret_id: i, secret_key: k}
  - {name: z, provider: zego, app_id: 1, server_secret: s}
streams:
"""


def names(paths: list[Path]) -> list[str]:
    """Return how samples are called in reports."""
    return [path.stem for path in paths]


def config(text: str, environ: Mapping[str, str] | None = None, files: Mapping[str, bytes] | None = None) -> Config:
    """Load a text as if it stood in c.yml, beside the given files."""
    contents = {Path("c.yml"): text.encode(), **{Path(name): data for name, data in (files or {}).items()}}

    def read(path: Path) -> bytes:
        if path not in contents:
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return contents[path]

    return load(Path("c.yml"), PROVIDERS, environ or {}, read)


def errors(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """Return the errors of a text, each without the name of its file."""
    with pytest.raises(ConfigErrors) as caught:
        config(text, environ)
    return [str(problem).removeprefix("c.yml:") for problem in caught.value.problems]


def accepts(validator: Any, text: str) -> bool:
    """Say whether the JSON Schema takes a text."""
    return bool(validator.is_valid(yaml.safe_load(text)))


@pytest.fixture(scope="module")
def validator() -> Any:
    """Return the JSON Schema, ready to judge."""
    return Draft202012Validator(schema(PROVIDERS))


# Samples.


@pytest.mark.parametrize("path", GOOD, ids=names(GOOD))
def test_good_samples(path: Path, validator: Any) -> None:
    """What the contract allows is taken, by the loader and by the JSON Schema alike."""
    loaded = load(path, PROVIDERS, ENVIRONMENT)
    assert loaded.streams
    assert accepts(validator, path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", BAD, ids=names(BAD))
def test_bad_samples(path: Path) -> None:
    """Every error of a file is told of, with its place, in the order of the file, and without a secret."""
    expected = re.findall("^# error: (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    with pytest.raises(ConfigErrors) as caught:
        load(path, PROVIDERS, {})
    clouds = ", ".join(PROVIDERS)
    told = [
        str(problem).replace(str(path), path.name).replace(str(path.parent), "HERE").replace(clouds, "CLOUDS")
        for problem in caught.value.problems
    ]
    assert told == [f"{path.name}:{error}" for error in expected]
    assert CANARY not in str(caught.value) + repr(caught.value) + repr(caught.value.problems)


@pytest.mark.parametrize("path", SAYABLE, ids=names(SAYABLE))
def test_bad_samples_and_the_schema(path: Path, validator: Any) -> None:
    """An editor with the JSON Schema refuses what the loader refuses, as far as a schema can say it."""
    assert not accepts(validator, path.read_text(encoding="utf-8"))


def test_example() -> None:
    """The example at the root is a configuration without errors or warnings, and has an account of every cloud."""

    def read(path: Path) -> bytes:
        return b"from a file\n" if path.is_relative_to("/run/secrets") else path.read_bytes()

    loaded = load(ROOT / "stream-exporter.example.yml", PROVIDERS, ENVIRONMENT, read)
    assert loaded.warnings == ()
    assert {account.provider for account in loaded.accounts} == set(PROVIDERS)
    assert {loaded.provider_of(stream) for stream in loaded.streams} == set(PROVIDERS)


def test_example_matches_the_schema(validator: Any) -> None:
    """An editor shows no error in the example."""
    assert accepts(validator, (ROOT / "stream-exporter.example.yml").read_text(encoding="utf-8"))


# What is loaded.


def test_values() -> None:
    """Durations become seconds, accounts and streams their provider's types, labels one sorted set of names."""
    loaded = load(SAMPLES / "good" / "full.yml", PROVIDERS, ENVIRONMENT)
    assert loaded.scrape == Scrape(timeout=0.05, reuse=0.0, max_age=86400.0)
    tencent = loaded.accounts[0]
    assert type(tencent) is PROVIDERS["tencent"].account
    assert (tencent.timeout, tencent.quota_share, tencent.endpoint) == (60.0, 1.0, "http://127.0.0.1:8080")
    assert tencent.quota == {"DescribeLiveStreamState": 1_000_000, "DescribeBackupStreamList": 0.5}
    assert [stream.name for stream in loaded.streams] == ["😀 stream 1", "1", "1", "a", "b", "no"]
    assert [loaded.provider_of(stream) for stream in loaded.streams[:3]] == ["tencent", "alibaba", "volcengine"]
    assert loaded.label_names == ("_x9", "team", "tier")
    assert loaded.accounts_by_name["火山"] is loaded.accounts[2]
    assert loaded.warnings == ()


def test_defaults() -> None:
    """Without `scrape` the contract's defaults hold."""
    assert config(HEAD + "  - {name: a, account: z}\n").scrape == Scrape(timeout=10.0, reuse=5.0, max_age=120.0)


def test_short_form_is_the_long_form() -> None:
    """A stream of the short form is no different from one written out."""
    short = config(HEAD + "  - {names: [a, b], account: t, domain: d, labels: {x: y}}\n").streams
    long = config(
        HEAD + "".join(f"  - {{name: {name}, account: t, domain: d, labels: {{x: y}}}}\n" for name in "ab")
    ).streams
    assert short == long
    assert [stream.model_dump() for stream in short] == [stream.model_dump() for stream in long]
    assert [stream.model_fields_set for stream in short] == [stream.model_fields_set for stream in long]
    assert pickle.loads(pickle.dumps(short)) == long
    with pytest.raises(ValueError, match="frozen"):
        short[0].name = "c"  # type: ignore[misc]


def test_one_name_at_two_providers() -> None:
    """The same name at another provider is another stream."""
    text = HEAD + "  - {name: a, account: t, domain: d}\n  - {name: a, account: z}\n"
    assert [stream.account for stream in config(text).streams] == ["t", "z"]


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (HEAD + "  []\n", "1:1: document: no stream is watched"),
        (HEAD + "  - {name: a, account: z}\n", "2:12: accounts[0].name: no stream is watched through this account"),
        (
            HEAD + "  - {names: [a], account: z, labels: {job: x}}\n  - {name: a, account: t, domain: d}\n",
            "5:39: streams[0].labels.job: Prometheus sets job itself, and shows this one as exported_job",
        ),
        (
            HEAD + "  - {name: a, account: z}\n  - {name: a, account: t, domain: d}\nstream_files: [nosuch/*.yml]\n",
            f"7:16: stream_files[0]: the pattern matches no file; it starts at {Path.cwd()}",
        ),
    ],
)
def test_warnings(text: str, warning: str) -> None:
    """What is allowed and likely not meant is told of with its place, and stops nothing."""
    assert [str(problem) for problem in config(text).warnings] == [f"c.yml:{warning}"]


KNOWN = (
    "DescribeBackupStreamList is documented for ap-bangkok, ap-beijing, ap-guangzhou, ap-hongkong, ap-seoul, "
    "ap-shanghai, ap-tokyo only"
)
EXPECTS = "1 stream expects inputs, which only DescribeBackupStreamList reports, and "
ABSENT = "stream_inputs will be absent"
DOUBTS: list[tuple[str, str, str]] = [
    ("region: ap-guangzou", "", f"2:71: accounts[0].region: {KNOWN}; did you mean 'ap-guangzhou'?"),
    ("region: AP-Tokyo", "", f"2:71: accounts[0].region: {KNOWN}; did you mean 'ap-tokyo'?"),
    ("region: mars", "", f"2:71: accounts[0].region: {KNOWN}"),
    ("timeout: 3s", ", inputs: 2",
     f"2:5: accounts[0].region: {EXPECTS}it needs a region, such as ap-guangzhou: {ABSENT}"),
    ("region: ap-seoul, plan: single", ", inputs: 1",
     f"2:87: accounts[0].plan: {EXPECTS}with plan: single it is not asked: {ABSENT}"),
    ("region: ap-seoul, endpoint: 'https://live.intl.tencentcloudapi.com'", ", inputs: 1",
     f"2:91: accounts[0].endpoint: {EXPECTS}the international site lacks it: {ABSENT}"),
    ("region: ap-seoul", ", inputs: 1", ""),
    ("region: ap-tokyo", "", ""),
    ("region: ap-singapore, endpoint: 'https://live.intl.tencentcloudapi.com'", "", ""),
]  # fmt: skip


@pytest.mark.parametrize(("account", "stream", "warning"), DOUBTS)
def test_a_region_or_inputs_that_come_to_nothing_are_warned_of(account: str, stream: str, warning: str) -> None:
    """Tencent's regions are compared with the documented ones, and inputs that nobody will tell of are named."""
    text = f"accounts:\n  - {{name: t, provider: tencent, secret_id: i, secret_key: k, {account}}}\nstreams:\n"
    found = config(text + f"  - {{name: a, account: t, domain: d{stream}}}\n").warnings
    assert [str(problem) for problem in found] == ([f"c.yml:{warning}"] if warning else [])


def test_streams_that_differ_only_by_their_ingest_domain_are_warned_of() -> None:
    """One name under one streaming domain at several ingest domains works, and is told of once."""
    head = "accounts:\n  - {name: a, provider: alibaba, access_key_id: i, access_key_secret: k}\nstreams:\n"
    one = "  - {{name: {name}, stream: s, account: a, app: live, domain: {domain}, streaming_domain: Play.example}}\n"
    alike = [one.format(name=name, domain=f"{name}.example") for name in ("x", "y")]
    (problem,) = config(head + "".join(alike)).warnings
    assert str(problem) == (
        "c.yml:2:12: accounts[0].name: the streams 'x', 'y' differ only by their ingest domain under one "
        "streaming_domain: DescribeLiveStreamsOnlineList tells them apart by PublishDomain, and where it names none "
        "they are asked singly"
    )
    assert config(head + alike[0]).warnings == ()


@pytest.mark.parametrize("written", ["Push.Example", "push.example.", "PUSH.EXAMPLE."])
def test_a_domain_has_one_spelling(written: str) -> None:
    """Case and the last dot of a full name mean nothing, and a stream is found by either spelling."""
    (stream,) = config(HEAD + f"  - {{name: a, account: t, domain: {written}}}\n").streams
    assert stream.domain == "push.example"  # type: ignore[attr-defined]


FORMS = (
    "{}", "?{}", "name?{}", "name?a=b&{}", "name&{}", "/live/name?{}", "#!::r=live/name,{}", "name%3F{}", "name%253F{}",
)  # fmt: skip
CREDENTIALS = (
    "txSecret=x", "TXSECRET=x", "txTime=5F", "auth_key=1-0-0-x", "wsSecret=x", "hwSecret=x", "hwTime=1", "auth_info=x",
    "volcSecret=x", "volcTime=1", "sign=x", "signature=x", "token=x", "secret=x", "key=x", "api_key=x", "password=x",
    "txSecret%3Dx", "auth_key%253Dx", "auth_key =x",
)  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("credential", CREDENTIALS)
def test_a_push_address_is_no_name(form: str, credential: str) -> None:
    """The query of a push address in a name would show its credential on every page, so it is refused."""
    assert carries_credential(form.format(credential))


@pytest.mark.parametrize(
    "name", ["arena-1", "a/b?c=d&e#f", "design=1", "monkey=2", "50%", "txSecret", "auth_key", 'name="value"', "1+1=2"]
)
def test_an_odd_name_is_a_name(name: str) -> None:
    """Equals signs, percents and words that only resemble a credential's name are allowed."""
    assert not carries_credential(name)


def test_a_refused_credential_is_not_repeated_where_a_name_stands_twice() -> None:
    """Neither streams nor accounts that are named twice show the credential in their name."""
    secret = "a?txSecret=CANARY"
    text = (
        "accounts:\n"
        + f"  - {{name: '{secret}', provider: zego, app_id: 1, server_secret: s}}\n" * 2
        + "  - {name: z, provider: zego, app_id: 1, server_secret: s}\nstreams:\n"
        + f"  - {{names: ['{secret}', '{secret}'], account: z}}\n  - {{name: '{secret}', account: z}}\n"
    )
    with pytest.raises(ConfigErrors) as caught:
        config(text)
    told = str(caught.value)
    assert CANARY not in told
    assert told.count("has this name already, first at") == 3


def test_collector_is_as_before() -> None:
    """Loading holds the garbage collector back and leaves it as it found it, also where it fails."""
    assert gc.isenabled()
    config(HEAD + "  - {name: a, account: z}\n")
    errors("[]")
    assert gc.isenabled()
    gc.disable()
    try:
        errors("[]")
        assert not gc.isenabled()
    finally:
        gc.enable()


# Further files.


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return a folder with a configuration that wants further files."""
    (tmp_path / "streams.d").mkdir()
    (tmp_path / "c.yml").write_text(HEAD + '  - {name: a, account: z}\nstream_files: ["streams.d/*.yml", "*.d/1*"]\n')
    return tmp_path


def test_stream_files(directory: Path) -> None:
    """Files are read once each, sorted, relative to the main file, and all are known for watching."""
    (directory / "streams.d" / "2.yml").write_text("- {name: c, account: t, domain: d}\n")
    (directory / "streams.d" / "1.yml").write_text("- {names: [b], account: z}\n")
    loaded = load(directory / "c.yml", PROVIDERS, {})
    assert [stream.name for stream in loaded.streams] == ["a", "b", "c"]
    assert loaded.files == tuple(directory / name for name in ("c.yml", "streams.d/1.yml", "streams.d/2.yml"))


def test_stream_files_with_errors(directory: Path) -> None:
    """Errors carry the name of the file they are in, in the order of reading, also where it repeats another file."""
    (directory / "streams.d" / "1.yml").write_text("- {name: a, account: z}\n- {name: b, account: y}\n")
    (directory / "streams.d" / "2.yml").write_text("{}\n")
    (directory / "streams.d" / "3.yml").write_text("")
    (directory / "streams.d" / "4.yml").write_bytes(b"\n- \xff\n")
    (directory / "streams.d" / "5.yml").mkdir()
    with pytest.raises(ConfigErrors) as caught:
        load(directory / "c.yml", PROVIDERS, {})
    assert str(caught.value).replace(f"{directory}/", "").splitlines() == [
        "streams.d/1.yml:1:10: [0].name: a zego stream is named 'a' already, first at c.yml:5",
        "streams.d/1.yml:2:22: [1].account: no account has this name; the accounts are t, z",
        "streams.d/2.yml:1:1: document: is a mapping; a list is expected",
        "streams.d/3.yml:1:1: document: is empty",
        "streams.d/4.yml:2:3: document: is not UTF-8 here",
        "streams.d/5.yml:1:1: document: cannot be read: Is a directory",
    ]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ('"*.yml"', "the pattern matches the configuration itself"),
        ("5", "is a number to YAML; quote it to make it text"),
        ("[x]", "is a list; text is expected"),
    ],
)
def test_stream_files_with_a_bad_pattern(tmp_path: Path, pattern: str, message: str) -> None:
    """A pattern that is none, or that would read the main file as a list, is an error at its place."""
    (tmp_path / "c.yml").write_text(f"{HEAD}  - {{name: a, account: z}}\nstream_files: [{pattern}]\n")
    with pytest.raises(ConfigErrors) as caught:
        load(tmp_path / "c.yml", PROVIDERS, {})
    assert [str(each) for each in caught.value.problems] == [f"{tmp_path}/c.yml:6:16: stream_files[0]: {message}"]


# Limits of reading.


def test_no_such_file(tmp_path: Path) -> None:
    """A main file that is not there is an error like any other."""
    with pytest.raises(ConfigErrors, match=r"none\.yml:1:1: document: cannot be read: No such file or directory"):
        load(tmp_path / "none.yml", PROVIDERS, {})


def test_size() -> None:
    """A file above 16 MiB is refused before it is parsed."""
    assert errors("#" * LARGEST + "\n") == ["1:1: document: is larger than 16 MiB"]


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "[[{a: ["])
@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.no_cover
def test_depth(opening: str, parser: Callable[[bytes], Any]) -> None:
    """However deep a file is nested, it is refused at a fixed depth and nothing overflows."""
    document = read_document("c.yml", (opening * 20_000).encode(), Format(parser=parser))
    assert f"is nested deeper than {DEEPEST} levels" in document.problems[-1].message
    assert not document.readable


@pytest.mark.parametrize(("levels", "readable"), [(DEEPEST, True), (DEEPEST + 2, False)])
def test_depth_allowed(levels: int, readable: bool) -> None:
    """Reasonable depth is read."""
    assert read_document("c.yml", ("[" * levels + "]" * levels).encode()).readable is readable


def test_byte_order_mark_and_positions_in_characters() -> None:
    """A byte order mark is skipped, and columns count characters, not bytes."""
    text = "\ufeffaccounts: [{name: 火山, provider: 火山}]\n"
    with pytest.raises(ConfigErrors, match=r"c\.yml:1:33: accounts\[0\]\.provider: unknown provider"):
        load(Path("c.yml"), PROVIDERS, {}, lambda _path: text.encode())


@pytest.mark.parametrize("part", ["accounts[0]", "streams[0]", "scrape"])
def test_a_key_that_looks_like_a_place_is_unknown(part: str) -> None:
    """`[key]` is what pydantic calls the key of a mapping; as a key of the file it is one like any other."""
    texts = {
        "accounts[0]": 'accounts: [{name: a, provider: zego, app_id: 1, server_secret: s, "[key]": 1}]\n',
        "streams[0]": HEAD + '  - {name: a, account: z, "[key]": 1}\n',
        "scrape": HEAD + '  - {name: a, account: z}\nscrape: {"[key]": 1}\n',
    }
    assert [line.split(": ", 1)[1] for line in errors(texts[part])] == [f"{part}.<key>: unknown key"]


def test_many_errors() -> None:
    """A file of nothing but errors ends in a message of bounded length."""
    told = errors(HEAD + "  - {}\n" * (3 * MOST))
    assert len(told) == MOST + 1
    assert told[-1] == "1:1: document: more errors follow; these are the first 1,000"


SCALARS = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.from_regex(r"[-+]?(0[xbo]?)?[0-9_.:eE+]{1,12}", fullmatch=True),
    st.sampled_from(
        ["yes", "No", "on", "~", "null", "", "=", "<<", "1:30", "2020-01-01", ".inf", "0x_", "190:20:30.15"]
    ),
)


@given(SCALARS)
@example("0b_")
@pytest.mark.no_cover
def test_scalars(text: str) -> None:
    """A plain scalar is what PyYAML's SafeLoader makes of it, except that times and `=` and `<<` are text."""
    document = f"- {text}\n".encode()
    read = read_document("c.yml", document)
    try:
        expected = yaml.safe_load(document)
    except (yaml.YAMLError, ValueError):
        return
    if not read.problems and isinstance(expected, list) and isinstance(expected[0], (str, int, float, type(None))):
        assert repr(read.value) == repr(expected)


def test_endless_numbers() -> None:
    """Numbers of thousands of digits are text: to work them out would take minutes."""
    assert read_document("c.yml", b"[" + b"9" * 5000 + b", " + b"1:1" * 5000 + b"]").value[0] == "9" * 5000


WORDS = "accounts streams name names account provider zego tencent scrape timeout labels 5 10s ~ # [ ] { } : \\ \" ' \t"
MARKS = ["\n", "\n  ", "\n    ", "\n- ", ": ", "- ", ", ", "? ", "&a ", "*a", "!!str ", "<<: ", "|\n", ">\n"]
MARKS += ["%YAML 1.2\n", "---\n", "...\n", '"\\ud800"', '"\\UFFFFFFFF"']
YAMLISH = st.lists(st.one_of(st.sampled_from([*WORDS.split(" "), *MARKS]), st.text(max_size=5)), max_size=40).map(
    "".join
)


@settings(max_examples=300)
@given(st.one_of(YAMLISH, st.text(max_size=60)))
@example('"\\UFFFFFFFF"')
@example("%YAML 1." + "9" * 5000 + "\n---\n")
@example("accounts: [{name: \x01}]")
@pytest.mark.no_cover
def test_any_text(text: str) -> None:
    """Whatever a file holds, loading ends in a configuration or in `ConfigErrors`."""
    data = text.encode("utf-8", "surrogatepass")
    for parser in PARSERS:
        document = read_document("c.yml", data, Format(parser=parser))
        assert document.readable or document.problems
        locate(document, {("accounts", 0, "name"), ()})
    with contextlib.suppress(ConfigErrors):
        load(Path("c.yml"), PROVIDERS, {}, lambda _path: data)


@settings(max_examples=100)
@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    """The same for bytes that are no text."""
    with contextlib.suppress(ConfigErrors):
        load(Path("c.yml"), PROVIDERS, {}, lambda _path: data)


@pytest.mark.parametrize("path", GOOD, ids=names(GOOD))
def test_both_parsers_agree(path: Path) -> None:
    """Where PyYAML lacks libyaml, the same values come out of its own parser."""
    values = [read_document("c.yml", path.read_bytes(), Format(parser=parser)).value for parser in PARSERS]
    assert values[0] == values[1]


# Secrets.


MISTAKES = [
    "{field}: [{canary}]",
    "{field}: {{{canary}: {canary}}}",
    "{field}: !{canary} {canary}",
    "{field}: &{canary} {canary}",
    "{field}: *{canary}",
    "{field}: {canary}: {canary}",
    "{field}: '{canary}",
    '{field}: "{canary}\\q"',
    "{field}: @{canary}",
    "{field}: %{canary}",
    "{field}: [{canary}",
    "{field}:{canary}",
    "{field} {canary}",
    "{field}={canary}",
    "{field}: {canary}\n    {field}: {canary}",
    "{field}: {canary}\n    {field}_file: {canary}",
    "{field}_file: {canary}",
    "{field}_env: {canary}",
    "{field}_file: [{canary}]",
    "{field}_env: {{a: {canary}}}",
    "{field}x: {canary}",
    "{field}_fil: {canary}",
    "{field}: |\n      {canary}\n      {canary}",
    '{field}: "{canary}\\0"',
    "{field}: {canary}\n  {field}: {canary}",
    "{field}: {canary}\n\t{field}: {canary}",
    "password: {canary}",
    "timeout: {canary}",
    "endpoint: https://{canary}@host",
    "concurrency: {canary}",
    "plan: {canary}",
    "quota: {{DescribeLiveStreamState: {canary}}}",
    "name: x\n  - {canary}",
    "{field}: {canary}\n---\n{canary}",
    "{field}: {canary}\x01",
]
FIELDS = sorted({field for provider in PROVIDERS.values() for field in secret_fields(provider.account)})


def chained(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those behind it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.no_cover
def test_no_secret_in_errors(provider: str, mistake: str) -> None:
    """Whatever mistake is made around a secret, neither message nor traceback repeats it."""
    for field in FIELDS:
        lines = mistake.format(field=field, canary=CANARY)
        text = f"accounts:\n  - provider: {provider}\n    timeout: 1\n    {lines}\nstreams: 5\n"
        with pytest.raises(ConfigErrors) as caught:
            config(text)
        shown = "".join(traceback.format_exception(caught.value))
        assert CANARY not in shown + str(caught.value) + repr(caught.value)
        assert not any(CANARY in str(each) for each in chained(caught.value))


MISPLACED = [
    "{{secret_key, {canary}}}",
    "{{secret_key {canary}}}",
    "{{secret_key: , {canary}: }}",
    "{{{canary}}}",
    "{{? {canary}}}",
    "{{{canary}: x, {canary}: y}}",
    "{{{canary}, {canary}}}",
    "{{quota: {{{canary}}}}}",
    "{{quota: {{{canary}: 1}}}}",
    "{{labels: {{{canary}}}}}",
    "{{&{canary} secret_key: x}}",
    "{{!{canary} secret_key: x}}",
    "{{*{canary} : x}}",
    "{{secret_key{canary}: x}}",
    "{{secret_key-{canary}: x}}",
    "{{token.{canary}: x}}",
    "{canary}",
    "[{canary}]",
    "\n    secret_key:\n    {canary}",
    "\n    secret_key:\n      {canary}",
    "\n    secret_key:\n      {canary}: x",
    "\n    secret_key:\n    - {canary}",
    "\n    secret_key\n      {canary}",
    "\n    ? {canary}\n",
    "\n    {canary}: x",
    "\n    {canary}:",
    "\n    secret_key: {canary}\n   {canary}: x",
    "\n    secret_key: {canary}\n\t{canary}: x",
    "\n    secret_key: '{canary}\n    x: y",
    '\n    secret_key: "x" {canary}',
    "\n    secret_key: > {canary}",
    "\n    provider: {canary}",
    "\n    secret_key_env: {canary}",
    "\n    secret_key_file: {canary}",
    "\n    endpoint: https://u:{canary}@host",
]
# As the clouds issue them, and as people make them up.
ISSUED = ["AKIDz8krbsJ5yKBZQpn74WFkmLPx3EX", "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE", "d41d8cd98f00b204e9800998ecf842ff",
          "hunter2hunter2", "T0pSecret", "swordfishswordfishes"]  # fmt: skip


@pytest.mark.parametrize("canary", ISSUED)
@pytest.mark.parametrize("mistake", MISPLACED)
def test_a_secret_where_no_value_belongs(mistake: str, canary: str) -> None:
    """A secret in the place of a key, an item, an anchor, a tag or a line of its own is not repeated."""
    written = mistake.format(canary=canary)
    for text in (f"accounts:\n  - {written}\n", f"{written.strip()}\n", HEAD + f"  - {written}\n"):
        with pytest.raises(ConfigErrors) as caught:
            config(text)
        assert canary not in "".join(traceback.format_exception(caught.value)) + repr(caught.value)


@given(st.from_regex(r"[A-Za-z0-9+/=_.-]{16,40}", fullmatch=True), st.sampled_from(MISPLACED))
def test_any_secret_where_no_value_belongs(text: str, mistake: str) -> None:
    """The same for whatever a cloud may issue: mixed letters and digits, base64, hexadecimal digits."""
    canary = f"Zx9{text}"
    with pytest.raises(ConfigErrors) as caught:
        config("accounts:\n  - " + mistake.format(canary=canary) + "\n")
    assert canary not in str(caught.value)


@pytest.mark.parametrize("lower", ["correcthorsebatterystaple", "swordfish"])
def test_a_secret_of_small_letters_where_a_key_belongs(lower: str) -> None:
    """Even one that looks like a word is not repeated where it stands without a value, as a secret without its key."""
    text = f"accounts:\n  - {{name: t, provider: tencent, secret_id: i, secret_key, {lower}}}\n"
    assert errors(text) == [
        "2:58: accounts[0].secret_key: is empty; text is expected",
        "2:60: accounts[0].<key>: unknown key",
    ]


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("regoin", "accounts[0].regoin: unknown key; did you mean 'region'?"),
        ("Region", "accounts[0].Region: unknown key; did you mean 'region'?"),
        ("secret_keys", "accounts[0].secret_keys: unknown key; did you mean 'secret_key'?"),
        ("SECRET_KEY", "accounts[0].SECRET_KEY: unknown key; did you mean 'secret_key'?"),
        ("colour", "accounts[0].colour: unknown key"),
        ("app_id", "accounts[0].app_id: unknown key; it belongs to accounts of volcengine and zego"),
        ("AKIDz8krbsJ5yKBZQpn7", "accounts[0].<key>: unknown key"),
    ],
)
def test_a_misspelt_key_is_named(key: str, shown: str) -> None:
    """What is plainly a key is repeated with what was likely meant; what may be a secret is not."""
    text = f"accounts:\n  - {{name: t, provider: tencent, secret_id: i, secret_key: k, {key}: x}}\n"
    assert errors(text) == [f"2:63: {shown}"]


ODD = {"01234567": "begins with a zero", "08": "begins with a zero", "-07": "begins with a zero",
       "0_1": "begins with a zero", "20:30:40": "has colons", "1:30": "has colons", "0x1F": "is not a decimal number",
       "0o17": "is not a decimal number", "0b101": "is not a decimal number", "1_000": "has _ between its digits",
       "1e3": "has an exponent", "2E4": "has an exponent"}  # fmt: skip


@pytest.mark.parametrize(("written", "words"), ODD.items())
def test_odd_numbers(written: str, words: str) -> None:
    """A number that YAML reads as octal, base 60 or otherwise is refused at its place and says how to write it."""
    zego = f"accounts:\n  - {{name: z, provider: zego, server_secret: s, app_id: {written}}}\n"
    quota = HEAD.replace("k}", f"k, concurrency: {written}, quota: {{DescribeLiveStreamState: {written}}}}}")
    for text, count in ((zego, 1), (quota + "  []\n", 2)):
        told = errors(text)
        assert len(told) == count
        assert all(words in line and line.endswith(", or quote it to make it text") for line in told)
        assert all(text.splitlines()[int(line.split(":")[0]) - 1][int(line.split(":")[1]) - 1 :].startswith(written)
                   for line in told)  # fmt: skip


@pytest.mark.parametrize(
    "written", ["0123", "12:30:00", "0x1F", "1_000", "0b1", "1.5", "7", ".inf", "on", "no", "True", "null", "~"]
)
def test_text_that_yaml_takes_for_something_else(written: str) -> None:
    """A name that YAML would read as a number, a switch or nothing is refused with the advice to quote it."""
    [told] = errors(HEAD + f"  - {{name: {written}, account: z}}\n")
    assert told.startswith("5:12: streams[0].name: is ")
    assert told.endswith("quote it to make it text")
    assert config(HEAD + f"  - {{name: '{written}', account: z}}\n").streams[0].name == written


@pytest.mark.parametrize(
    "written", ["0089", "1e3", "2024-01-01", "0o17", "09:00", "1.2.3", "y", "2024-01-01T00:00:00Z"]
)
def test_text_that_is_taken_as_it_is_written(written: str) -> None:
    """A name that only other readers of YAML take for something else is the text that was written."""
    assert config(HEAD + f"  - {{name: {written}, account: z}}\n").streams[0].name == written


def account(**fields: Any) -> Account:
    """Return an account of a provider that has all three credentials."""
    prepared = {"name": "t", "provider": "tencent", **fields}
    return PROVIDERS["tencent"].account.model_validate(prepared)  # type: ignore[no-any-return]


def of(
    given: Account, environ: Mapping[str, str], files: Mapping[str, bytes] | None = None
) -> tuple[str, str, str | None]:
    """Return the credentials of an account as text: key id, key and token."""

    def read(path: Path) -> bytes:
        return (files or {})[str(path)]

    made = credentials(given, PROVIDERS[given.provider], environ, read)
    return made.key_id, made.key_secret.reveal(), made.token.reveal() if made.token else None


def plain(text: str) -> SecretSource:
    """Return a secret that stands in the configuration itself."""
    return SecretSource.plain(text)


def test_credentials_from_everywhere() -> None:
    """Plain, file and variable are resolved, and one newline at the end of a file does not count."""
    given = account(secret_id=plain("i"), secret_key=SecretSource("file", "/k"), token=SecretSource("env", "T"))
    for data in (b"key", b"key\n", b"key\r\n", b"\xef\xbb\xbfkey\n"):
        assert of(given, {"T": "token"}, {"/k": data}) == ("i", "key", "token")


def test_credentials_of_the_vendors_environment() -> None:
    """With none given, the vendor's conventional variables are used, in their order."""
    environ = {"TENCENTCLOUD_SECRET_ID": "i", "TENCENTCLOUD_SECRET_KEY": "k"}
    assert of(account(), environ) == ("i", "k", None)
    assert of(account(), {**environ, "TENCENTCLOUD_SESSION_TOKEN": "s"}) == ("i", "k", "s")
    assert of(account(), {**environ, "TENCENTCLOUD_SESSION_TOKEN": "s", "TENCENTCLOUD_TOKEN": "t"}) == ("i", "k", "t")


def test_token_of_the_environment_goes_with_its_keys() -> None:
    """A token that belongs to other keys would make every call fail."""
    given = account(secret_id=plain("i"), secret_key=plain("k"))
    assert of(given, {"TENCENTCLOUD_TOKEN": "t"}) == ("i", "k", None)


def test_credentials_without_a_key_id() -> None:
    """ZEGO signs with one secret alone."""
    zego = PROVIDERS["zego"]
    given = zego.account(name="z", provider="zego", app_id=1)
    made = credentials(given, zego, {"ZEGO_SERVER_SECRET": "s"})
    assert (made.key_id, made.key_secret.reveal(), made.token) == ("", "s", None)


def test_credentials_missing() -> None:
    """What is missing is named with the field and the variable that would do."""
    with pytest.raises(CredentialsMissing) as caught:
        credentials(account(secret_id=plain("i")), PROVIDERS["tencent"], {"TENCENTCLOUD_SECRET_KEY": ""})
    assert caught.value.field == "secret_key"
    assert "TENCENTCLOUD_SECRET_KEY" in caught.value.advice


@pytest.mark.parametrize(
    ("source", "data", "advice"),
    [
        (SecretSource("env", "NONE"), b"", "names an environment variable that is not set"),
        (SecretSource("env", "EMPTY"), b"", "is empty"),
        (SecretSource("file", "/k"), b"\n", "is empty"),
        (SecretSource("file", "/k"), b"a\nb\n", "holds a line break or a control character, which no secret has"),
        (SecretSource("file", "/k"), b"\xff", "names a file that is not UTF-8 text"),
        (SecretSource("file", "/k"), b"x" * 65537, "names a file that is larger than 64 KiB; that is no secret"),
        (SecretSource("file", "\0"), None, "is not the name of a file"),
        (SecretSource("file", "/nosuch/file"), None, "names a file that cannot be read: No such file or directory"),
    ],
)
def test_secret_that_cannot_be_had(source: SecretSource, data: bytes | None, advice: str) -> None:
    """A secret that is unset, empty, unreadable or no secret is told of in words, without its value."""
    reading = {} if data is None else {"read": lambda _path: data}
    with pytest.raises(CredentialsMissing) as caught:
        secret("callback_key", source, {"EMPTY": ""}, **reading)
    assert (caught.value.field, caught.value.advice) == ("callback_key", advice)


def test_secret_file_beside_the_configuration(tmp_path: Path) -> None:
    """A secret's file is relative to the configuration, is read while loading, and is known for watching."""
    (tmp_path / "key").write_text("secret-of-the-file\n")
    path = tmp_path / "c.yml"
    path.write_text("accounts: [{name: z, provider: zego, app_id: 1, server_secret_file: key}]\n")
    loaded = load(path, PROVIDERS, {})
    assert loaded.files == (path, tmp_path / "key")
    assert credentials(loaded.accounts[0], PROVIDERS["zego"], {}).key_secret == Secret("secret-of-the-file")


def test_redacted() -> None:
    """What is shown names files and variables, never a secret, and reads as the same streams."""
    loaded = load(SAMPLES / "good" / "full.yml", PROVIDERS, ENVIRONMENT)
    shown = yaml.safe_load("".join(redacted_slices(loaded)))
    first = shown["accounts"][0]
    assert (first["secret_id_env"], first["secret_key"], first["callback_key"]) == (
        "TENCENTCLOUD_SECRET_ID",
        "<secret>",
        "<secret>",
    )
    assert (first["timeout"], shown["scrape"]["max_age"]) == ("1m", "24h")
    assert [stream["name"] for stream in shown["streams"]] == [stream.name for stream in loaded.streams]


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20))
@example("\x7f\x85\u2028\ufeff\uffff😀'\"\\")
def test_redacted_is_yaml(name: str) -> None:
    """Whatever a stream is called, what is shown can be read back."""
    loaded = config(HEAD + f"  - {{name: {json.dumps('x')}, account: z}}\n")
    renamed = Config(
        accounts=loaded.accounts, streams=tuple(s.model_copy(update={"name": name}) for s in loaded.streams)
    )
    assert yaml.safe_load("".join(redacted_slices(renamed)))["streams"][0]["name"] == name


# Schema and pages.


def test_schema_is_a_schema(tmp_path: Path) -> None:
    """The JSON Schema keeps to its own rules, by an independent program."""
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(schema(PROVIDERS)))
    check = [sys.executable, "-m", "check_jsonschema", "--check-metaschema", str(path)]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_schema_says_every_field() -> None:
    """Every key that the loader takes is in the JSON Schema with a description."""
    definitions = schema(PROVIDERS)["$defs"]
    for name, provider in PROVIDERS.items():
        for kind, shape in (("account", provider.account), ("stream", provider.stream)):
            fields = definitions[f"{name}_{kind}"]["properties"]
            assert set(shape.model_fields) <= set(fields)
            assert [field for field, about in fields.items() if not about.get("description")] == []


def test_schema_knows_what_the_loader_knows(validator: Any) -> None:
    """A third cloud needs no edit: the schema follows from the mapping that is handed in."""
    only: Mapping[str, AnyProvider] = {"zego": PROVIDERS["zego"]}
    # tencent_key signs addresses of viewers, whichever cloud they are of.
    assert "tencent" not in json.dumps(schema(only)).replace("tencent_key", "")
    with pytest.raises(ConfigErrors, match="unknown provider; it is one of zego"):
        load(SAMPLES / "good" / "full.yml", only, ENVIRONMENT)


def test_page_is_fresh() -> None:
    """docs/configuration.md says what the schema says: run `make docs`."""
    page = runpy.run_path(str(ROOT / "docs" / "generate_configuration.py"))["render"]()
    assert (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8") == page


def test_no_provider_is_known_by_name() -> None:
    """Adding a cloud never means editing the configuration's code."""
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "exporter" / "config").glob("*.py"))
    assert [name for name in PROVIDERS if name in source.lower()] == []


@pytest.mark.parametrize("text", ["0s", "1ms", "500ms", "10s", "90s", "2m", "1h", "24h", "1500ms"])
def test_durations_round_trip(text: str) -> None:
    """A duration is shown as it is written, in the largest unit that leaves a whole number."""
    assert format_duration(parse_duration(text)) == text


def test_problem_text() -> None:
    """An error is one line that editors can jump to."""
    problem = Problem("c.yml", 3, 7, "accounts[0].name", "is missing")
    assert str(ConfigErrors([problem, problem])) == "\n".join(["c.yml:3:7: accounts[0].name: is missing"] * 2)
