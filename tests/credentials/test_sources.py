"""Credential sources as pure functions: what is evidence, what files and answers mean; no answer breaks out."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.config.secret_values import missing
from exporter.credentials.chain import choose
from exporter.fields import Secret
from exporter.model import Credentials, Reply, Request
from exporter.providers import all_providers, leases
from exporter.providers.interface import CredentialsError, Malformed, NoEnvelope
from exporter.providers.sources import Lease, Machine, Source
from tests.cost import LINEAR, growth
from tests.credentials.cloud import CANARY, SETTINGS

NOW = 1_800_000_000.0
HOME = "/home/exporter"
EXPECTED = (CredentialsError, Malformed, NoEnvelope)


def machine_with(environ: dict[str, str], *files: str) -> Machine:
    """Return a machine with these variables and files."""
    return Machine({"HOME": HOME, **environ}, lambda path: str(path) in files)


def chosen(provider: str, environ: dict[str, str], *files: str, given_: tuple[str, ...] = ()) -> str | None:
    """Return the title of the source that is chosen."""
    source = choose(machine_with(environ, *files), all_providers()[provider], given_)
    return source.title if source else None


def follow(source: Source, machine: Machine, *answers: Any) -> tuple[Lease, list[Any]]:
    """Give a source these answers; return its keys and what it wanted."""
    steps = source.obtain(machine, NOW)
    wanted = [next(steps)]
    for answer in answers:
        try:
            wanted.append(steps.send(answer))
        except StopIteration as end:
            return end.value, wanted
    raise AssertionError(f"it wants more: {wanted[-1]!r}")


def source_of(provider: str, environ: dict[str, str], *files: str) -> tuple[Source, Machine]:
    """Return the source that is chosen, and the machine."""
    machine = machine_with(environ, *files)
    source = choose(machine, all_providers()[provider], ())
    assert source is not None
    return source, machine


TKE = {"TKE_ROLE_ARN": "arn", "TKE_WEB_IDENTITY_TOKEN_FILE": "/t", "TKE_REGION": "r", "TKE_PROVIDER_ID": "p"}
RRSA = {
    "ALIBABA_CLOUD_ROLE_ARN": "arn",
    "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": "p",
    "ALIBABA_CLOUD_OIDC_TOKEN_FILE": "/t",
}
POD_TKE, POD_ACK = "pod identity of TKE", "pod identity of ACK (RRSA)"
IRSA = {"AWS_ROLE_ARN": "arn", "AWS_WEB_IDENTITY_TOKEN_FILE": "/t"}
TASK = "role of the ECS task or EKS pod"
CVM, ECS = "CAM role of the CVM instance", "RAM role of the ECS instance"


@pytest.mark.parametrize(
    ("provider", "environ", "files", "title"),
    [
        ("tencent", {}, (), None),
        ("tencent", {}, (f"{HOME}/.tencentcloud/credentials",), "profile file of Tencent Cloud"),
        ("tencent", {}, ("/etc/tencentcloud/credentials",), "profile file of Tencent Cloud"),
        ("tencent", {"TENCENTCLOUD_CREDENTIALS_FILE": "/c"}, (), "profile file of Tencent Cloud"),
        ("tencent", TKE, (), POD_TKE),
        ("tencent", {"TKE_ROLE_ARN": "arn"}, (), None),
        ("tencent", {"TENCENTCLOUD_CAM_ROLE_NAME": "r"}, (), CVM),
        ("tencent", {**TKE, "TENCENTCLOUD_CAM_ROLE_NAME": "r"}, (), POD_TKE),
        ("tencent", {**TKE, "TENCENTCLOUD_SECRET_ID": "i"}, (), None),
        ("tencent", {**TKE, "TENCENTCLOUD_TOKEN": "t"}, (), POD_TKE),
        ("alibaba", {}, (), None),
        ("alibaba", {}, (f"{HOME}/.alibabacloud/credentials.ini",), "profile file of Alibaba Cloud"),
        ("alibaba", {}, (f"{HOME}/.alibabacloud/credentials",), "profile file of Alibaba Cloud"),
        ("alibaba", {"ALIBABA_CLOUD_CREDENTIALS_FILE": "/c"}, (), "profile file of Alibaba Cloud"),
        ("alibaba", RRSA, (f"{HOME}/.alibabacloud/credentials",), POD_ACK),
        ("alibaba", {"ALIBABA_CLOUD_ROLE_ARN": "arn"}, (), None),
        ("alibaba", {"ALIBABA_CLOUD_ECS_METADATA": "r"}, (), ECS),
        ("alibaba", {"ALIBABA_CLOUD_ECS_METADATA": "r", "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "True"}, (), None),
        ("alibaba", {**RRSA, "ALIBABA_CLOUD_ACCESS_KEY_ID": "i"}, (), None),
        ("volcengine", {}, (), None),
        ("volcengine", {}, (f"{HOME}/.volc/credentials",), "profile file of Volcengine"),
        ("volcengine", {}, (f"{HOME}/.volc/config",), "profile file of Volcengine"),
        ("volcengine", {"HOME": ""}, ("/.volc/config",), "profile file of Volcengine"),
        ("volcengine", {"HOME": "relative"}, ("relative/.volc/config",), None),
        ("volcengine_live", {}, (f"{HOME}/.volc/credentials",), "profile file of Volcengine"),
        ("zego", {}, (), None),
        ("ivs", {}, (), None),
        ("ivs", {}, (f"{HOME}/.aws/credentials",), "profile file of AWS"),
        ("ivs", {"AWS_SHARED_CREDENTIALS_FILE": "/c", "AWS_EC2_METADATA_DISABLED": "false"}, (), "profile file of AWS"),
        ("ivs", IRSA, (f"{HOME}/.aws/credentials",), "pod identity of EKS (IRSA)"),
        ("ivs", {**IRSA, "AWS_ACCESS_KEY_ID": "i"}, (), None),
        ("ivs", {"AWS_ROLE_ARN": "arn"}, (), None),
        ("ivs", {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2"}, (), TASK),
        ("ivs", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials"}, (), TASK),
        ("ivs", {"AWS_EC2_METADATA_DISABLED": "False"}, (), "role of the EC2 instance"),
        ("ivs", {"AWS_EC2_METADATA_DISABLED": "true"}, (), None),
    ],
)
def test_evidence(provider: str, environ: dict[str, str], files: tuple[str, ...], title: str | None) -> None:
    """A source is chosen only with evidence on the machine, and never if keys are set."""
    assert chosen(provider, environ, *files) == title
    for field in filter(None, all_providers()[provider].credentials):
        assert chosen(provider, environ, *files, given_=(field,)) is None


def test_a_callback_key_is_no_key() -> None:
    """An account with only a callback secret still gets its keys from the machine."""
    assert chosen("tencent", TKE, given_=("callback_key",)) == POD_TKE


@pytest.mark.parametrize("name", [name for name, kind in all_providers().items() if not kind.keyless])
def test_a_missing_key_names_every_source(name: str) -> None:
    """If there are no keys anywhere, the message names each of the cloud's sources once."""
    first, *others = [advice for _, advice in missing(all_providers()[name], {}, ())]
    sources = all_providers()[name].sources
    assert ("or give no key and" in first) == bool(sources)
    assert all(source.hint in first for source in sources)
    assert not any("or give no key" in advice for advice in others)


PROFILES: dict[str, tuple[str, str, str]] = {
    "tencent": ("tencent", ".tencentcloud/credentials", "[default]\nsecret_id = id\nsecret_key = key\n"),
    "tencent quoted": ("tencent", ".tencentcloud/credentials", "[default]\nsecret_id=\"id\"\nsecret_key='key'\n"),
    "tencent token": ("tencent", ".tencentcloud/credentials", "[default]\nsecret_id=id\nsecret_key=key\ntoken=tok\n"),
    "tencent comments": (
        "tencent",
        ".tencentcloud/credentials",
        "\ufeff# mine\r\n[other]\r\nsecret_id = x\r\n[default]\r\nsecret_id = id ; old\r\nsecret_key: key # new\r\n",
    ),
    "alibaba": (
        "alibaba",
        ".alibabacloud/credentials.ini",
        "[default]\nenable = true\ntype = access_key\naccess_key_id = id\naccess_key_secret = key\n",
    ),
    "alibaba untyped": (
        "alibaba",
        ".alibabacloud/credentials",
        "[default]\naccess_key_id = id\naccess_key_secret = key\n",
    ),
    "alibaba sts": (
        "alibaba",
        ".alibabacloud/credentials.ini",
        "[default]\ntype = sts\naccess_key_id = id\naccess_key_secret = key\nsecurity_token = tok\n",
    ),
    "ivs": ("ivs", ".aws/credentials", "[default]\naws_access_key_id = id\naws_secret_access_key = key\n"),
    "ivs token": (
        "ivs",
        ".aws/credentials",
        "[default]\naws_access_key_id=id\naws_secret_access_key=key\naws_session_token=tok\n",
    ),
    "volcengine": ("volcengine", ".volc/credentials", "[default]\naccess_key_id = id\nsecret_access_key = key\n"),
    "volcengine token": (
        "volcengine",
        ".volc/credentials",
        "[default]\naccess_key_id = id\nsecret_access_key = key\nsession_token = tok\n",
    ),
    "volcengine config": ("volcengine", ".volc/config", '{"ak": "id", "sk": "key", "region": "cn-north-1"}'),
}


@pytest.mark.parametrize("name", PROFILES)
def test_profile_files(name: str) -> None:
    """Profile files are read as the vendors' tools write them, including session tokens."""
    provider, path, content = PROFILES[name]
    source, machine = source_of(provider, {}, f"{HOME}/{path}")
    lease, wanted = follow(source, machine, content.encode())
    token = Secret("tok") if "tok\n" in content else None
    assert lease == Lease(Credentials("id", Secret("key"), token))
    assert wanted == [Path(HOME) / path]


def test_a_named_profile() -> None:
    """ALIBABA_CLOUD_PROFILE names another section than [default]."""
    environ = {"ALIBABA_CLOUD_PROFILE": "live", "ALIBABA_CLOUD_CREDENTIALS_FILE": "/c"}
    source, machine = source_of("alibaba", environ)
    content = b"[default]\ntype = nonsense\n[live]\naccess_key_id = id\naccess_key_secret = key\n"
    assert follow(source, machine, content)[0].credentials.key_id == "id"


@pytest.mark.parametrize(
    ("provider", "path", "content", "words"),
    [
        ("ivs", ".aws/credentials", f"[default]\nrole_arn = {CANARY}\n", "aws_access_key_id is missing"),
        ("tencent", ".tencentcloud/credentials", f"secret_key = {CANARY}", "not in INI form"),
        ("tencent", ".tencentcloud/credentials", f"[default]\n{CANARY}\n", "not in INI form"),
        (
            "tencent",
            ".tencentcloud/credentials",
            f"[default]\nsecret_key = {CANARY}\nsecret_key = {CANARY}",
            "INI form",
        ),
        ("tencent", ".tencentcloud/credentials", f"[DEFAULT]\nsecret_key = {CANARY}\n", "no section [default]"),
        ("tencent", ".tencentcloud/credentials", f"[default]\nsecret_key = {CANARY}\n", "secret_id is missing"),
        ("tencent", ".tencentcloud/credentials", f"[default]\nsecret_id = {CANARY}\n", "secret_key is missing"),
        (
            "tencent",
            ".tencentcloud/credentials",
            f"[default]\nsecret_id = a\nsecret_key = {CANARY} x\n",
            "signs that no",
        ),
        (
            "tencent",
            ".tencentcloud/credentials",
            f"[default]\nsecret_id = a\nsecret_key = {CANARY}ü\n",
            "signs that no",
        ),
        ("alibaba", ".alibabacloud/credentials", f"[default]\ntype = {CANARY}\n", "type is none of"),
        ("alibaba", ".alibabacloud/credentials", "[default]\ntype = ram_role_arn\n", "type is none of"),
        ("alibaba", ".alibabacloud/credentials", "[default]\ntype = oidc_role_arn\n", "role_arn is missing"),
        ("volcengine", ".volc/config", f'{{"ak": "id", "sk": "{CANARY}"', "not a JSON object"),
        ("volcengine", ".volc/config", f'["{CANARY}"]', "not a JSON object"),
        ("volcengine", ".volc/config", '{"ak": "id", "sk": 5}', "sk is missing"),
        ("volcengine", ".volc/config", "[" * 100_000, "not a JSON object"),
    ],
)
def test_broken_profile_files(provider: str, path: str, content: str, words: str) -> None:
    """The error says what is wrong with a profile file without quoting it."""
    source, machine = source_of(provider, {}, f"{HOME}/{path}")
    with pytest.raises(CredentialsError) as caught:
        follow(source, machine, content.encode())
    assert words in str(caught.value)
    assert CANARY not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("begin", "once", "end"), [("a", " ", "b"), ("a", "\t\v", "b"), ("", "[", ""), ("", "a#", ""), ("", " \n", "b")]
)
def test_no_profile_file_takes_long(begin: str, once: str, end: str) -> None:
    """Parsing a profile file takes time by its size, whatever it repeats: 64 KiB are not long."""

    def make(size: int) -> Callable[[], None]:
        content = f"[default]\n{begin}{once * (size // len(once))}{end}\n".encode()

        def parse() -> None:
            with suppress(CredentialsError):
                leases.ini_section(content, "default")

        return parse

    assert growth(make, 16_000) < LINEAR


def test_the_instances_role_by_profile_is_refused_where_it_is_disabled() -> None:
    """ALIBABA_CLOUD_ECS_METADATA_DISABLED also applies to a profile of type ecs_ram_role."""
    environ = {"ALIBABA_CLOUD_CREDENTIALS_FILE": "/c", "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true"}
    source, machine = source_of("alibaba", environ)
    with pytest.raises(CredentialsError, match="ALIBABA_CLOUD_ECS_METADATA_DISABLED is true"):
        follow(source, machine, b"[default]\ntype = ecs_ram_role\n")


@pytest.mark.parametrize("name", ["../../user-data", "a/b", "a b", "..", "", "ü", "x" * 65, "a?b", "a#b", "a\nb"])
def test_a_role_name_cannot_leave_its_path(name: str) -> None:
    """No configured or returned role name can change the path on the metadata server."""
    for provider, variable in (("tencent", "TENCENTCLOUD_CAM_ROLE_NAME"), ("alibaba", "ALIBABA_CLOUD_ECS_METADATA")):
        opening = [Reply(200, {}, b"token")] if provider == "alibaba" else []
        if name:
            source, machine = source_of(provider, {variable: name})
            with pytest.raises(CredentialsError, match="is not the name of a role"):
                follow(source, machine, *opening)
        source, machine = source_of(provider, {variable: "auto"})
        with pytest.raises(CredentialsError, match="is not the name of a role"):
            follow(source, machine, *opening, Reply(200, {}, name.encode()))


def test_the_region_of_sts() -> None:
    """STS requests go only to the region and network that the vendor's variables name."""
    for extra, host in (
        ({}, "sts.aliyuncs.com"),
        ({"ALIBABA_CLOUD_STS_REGION": "cn-hangzhou"}, "sts.cn-hangzhou.aliyuncs.com"),
        (
            {"ALIBABA_CLOUD_STS_REGION": "cn-hangzhou", "ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED": "true"},
            "sts-vpc.cn-hangzhou.aliyuncs.com",
        ),
    ):
        source, machine = source_of("alibaba", {**RRSA, **extra})
        steps = source.obtain(machine, NOW)
        next(steps)
        request = steps.send(b"identity-token")
        assert isinstance(request, Request)
        assert request.url.startswith(f"https://{host}/?")
        assert "identity-token" not in request.url + repr(request)
    source, machine = source_of("alibaba", {**RRSA, "ALIBABA_CLOUD_STS_REGION": "evil.example/"})
    with pytest.raises(CredentialsError, match="not the name of a region"):
        follow(source, machine, b"identity-token")


CONTAINER = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
TASK_KEYS = {"AccessKeyId": "id", "SecretAccessKey": "key", "Token": "tok", "Expiration": "2027-01-15T08:00:00Z"}


@pytest.mark.parametrize(
    "url",
    ["http://evil.example/v1", "http://169.254.170.2.evil.example/", "http://169.254.170.2@evil.example/", "/v1", "x",
     "http://169.254.169.254/latest", "ftp://localhost/", "http://localhost/ x", "https://user@evil.example/"],
)  # fmt: skip
def test_a_containers_keys_come_from_beside_it(url: str) -> None:
    """A token is sent without TLS only to the agent's own addresses, and the message repeats no address."""
    source, machine = source_of("ivs", {CONTAINER: url, "AWS_CONTAINER_AUTHORIZATION_TOKEN": CANARY})
    with pytest.raises(CredentialsError, match="neither the agent's nor https://") as caught:
        follow(source, machine)
    assert url not in str(caught.value)


def test_the_token_of_a_pod_is_sent_to_the_agent() -> None:
    """EKS's agent wants the token of a file, other agents that of a variable, and ECS none."""
    address, reply = {CONTAINER: "http://169.254.170.23/v1/credentials"}, Reply(200, {}, json.dumps(TASK_KEYS).encode())
    source, machine = source_of("ivs", {**address, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/t"})
    lease, (file, request) = follow(source, machine, b"eyJ.token\n", reply)
    assert (file, request.url) == (Path("/t"), "http://169.254.170.23/v1/credentials")
    assert request.headers == {"Authorization": "eyJ.token"}
    assert lease == Lease(Credentials("id", Secret("key"), Secret("tok")), 1_800_000_000.0)
    source, machine = source_of("ivs", {**address, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "given"})
    assert follow(source, machine, reply)[1][0].headers == {"Authorization": "given"}
    source, machine = source_of("ivs", {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/x"})
    (request,) = follow(source, machine, reply)[1]
    assert (request.url, request.headers) == ("http://169.254.170.2/v2/credentials/x", {})


def test_the_region_of_awss_sts() -> None:
    """STS is asked in the region that the variables name, and the token goes in the body."""
    for environ, host in (
        ({}, "sts.amazonaws.com"),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, "sts.eu-west-1.amazonaws.com"),
        ({"AWS_REGION": "us-west-2", "AWS_DEFAULT_REGION": "eu-west-1"}, "sts.us-west-2.amazonaws.com"),
    ):
        source, machine = source_of("ivs", {**IRSA, **environ})
        steps = source.obtain(machine, NOW)
        next(steps)
        request = steps.send(b"identity-token")
        assert isinstance(request, Request)
        assert request.url == f"https://{host}/"
        assert b"WebIdentityToken=identity-token" in request.body
    source, machine = source_of("ivs", {**IRSA, "AWS_REGION": "evil.example/"})
    with pytest.raises(CredentialsError, match="not the name of a region"):
        follow(source, machine, b"identity-token")


def test_no_answer_is_longer_than_a_key() -> None:
    """A key too long for a header is refused."""
    source, machine = source_of("tencent", {"TENCENTCLOUD_CAM_ROLE_NAME": "r"})
    keys = {"Code": "Success", "TmpSecretId": "i", "TmpSecretKey": "k", "Token": "x" * 20_000, "ExpiredTime": NOW}
    with pytest.raises(CredentialsError, match="Token holds signs"):
        follow(source, machine, Reply(200, {}, json.dumps(keys).encode()))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
NAMES = (
    *("Code", "Response", "Credentials", "Error", "Message", "RequestId"),
    *("TmpSecretId", "TmpSecretKey", "Token", "ExpiredTime"),
    *("AccessKeyId", "AccessKeySecret", "SecurityToken", "Expiration"),
)
ANSWERS = st.dictionaries(
    st.sampled_from(NAMES), JSON | st.just("Success") | st.dictionaries(st.sampled_from(NAMES), JSON), max_size=8
)
BODIES = (
    st.sampled_from([b"name", b"eyJ.token"])
    | st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
REPLIES = st.builds(
    Reply,
    st.sampled_from([200, 200, 200, 204, 301, 400, 403, 404, 500]),
    st.just({}),
    BODIES | (JSON | ANSWERS).map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
)


@settings(max_examples=400, deadline=None)
@given(name=st.sampled_from(sorted(SETTINGS)), replies=st.lists(REPLIES, min_size=3, max_size=3), data=BODIES)
@pytest.mark.no_cover
def test_no_answer_breaks_out(name: str, replies: list[Reply], data: bytes) -> None:
    """For any answers and files, a source returns keys fit for a header or raises a known error."""
    setting = SETTINGS[name]
    profile = {"ALIBABA_CLOUD_CREDENTIALS_FILE": "/p"} if name == "ecs-profile" else {}
    environ = profile or setting.environ(Path("/"))
    source, machine = source_of(setting.provider, environ)
    steps = source.obtain(machine, NOW)
    answers = iter(replies)
    try:
        wanted = next(steps)
        while True:
            content = b"[default]\ntype = ecs_ram_role\n" if profile else data
            wanted = steps.send(content if isinstance(wanted, Path) else next(answers))
    except StopIteration as end:
        keys = end.value.credentials
        for text in (keys.key_id, keys.key_secret.reveal(), keys.token.reveal()):
            assert text.isascii()
            assert text.isprintable()
        return
    except EXPECTED as error:
        said = str(error)
    else:
        raise AssertionError("a source returns or raises")
    assert said.isprintable()


@settings(max_examples=400, deadline=None)
@given(provider=st.sampled_from(["tencent", "alibaba", "volcengine"]), data=BODIES, config=st.booleans())
def test_no_profile_breaks_out(provider: str, data: bytes, config: bool) -> None:
    """Any profile file gives keys or a known error."""
    files = {"tencent": ".tencentcloud/credentials", "alibaba": ".alibabacloud/credentials"}
    path = files.get(provider, ".volc/config" if config else ".volc/credentials")
    source, machine = source_of(provider, {}, f"{HOME}/{path}")
    for content in (data, b"[default]\n" + data):
        try:
            said = follow(source, machine, content)[0].credentials.key_id
        except EXPECTED as error:
            said = str(error)
        assert said.isprintable()
