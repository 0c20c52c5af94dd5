"""`check`: errors with their places, the capacity plan, and warnings that do not fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text

from exporter import config, providers
from exporter.commands import check as check_command
from tests.commands.running import CANARY, run, tencent, written

STREAMS = [{"names": ["a", "b", "c"], "account": "main", "domain": "push.example"}]


def check(path: Path, *accounts: dict[str, Any], streams: list[dict[str, Any]] | None = None, **scrape: str) -> str:
    """Check a configuration that is right, and return what was said: the plan, and behind it warnings alone."""
    done = run("check", "--config.file", written(path / "c.yml", list(accounts), streams or STREAMS, **scrape))
    assert (done.code, "warning" in done.out) == (0, False)
    assert all(line.startswith(("warning: ", "  - ")) for line in done.err.splitlines())
    assert CANARY not in done.all
    return done.all


def test_every_error_at_once(tmp_path: Path) -> None:
    """All errors are told as file:line:column: path: message, on standard error and nothing else, and exit with 1."""
    file = tmp_path / "c.yml"
    file.write_text(
        f"accounts:\n- {{name: main, provider: tencnt}}\n- {{name: b, provider: zego, server_secret: {CANARY}}}\n"
        "streams:\n- {name: x, account: nobody}\nextra: 1\n"
    )
    done = run("check", "--config.file", str(file))
    assert (done.code, done.out) == (1, "")
    lines = done.err.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith(f"{file}:2:26: accounts[0].provider: unknown provider")
    assert all(line.startswith(f"{file}:") for line in lines)
    assert CANARY not in done.err


def test_the_plan_as_plain_text(tmp_path: Path) -> None:
    """Into a pipe goes an aligned table: per account and API the calls, rates, time, rotation and use of the limit."""
    out = check(tmp_path, tencent(plan="single"), streams=[{**STREAMS[0], "names": [f"s{i}" for i in range(2000)]}])
    head, account, row = out.splitlines()[2:5]
    assert head.startswith("ACCOUNT AND API")
    assert account.split() == ["main", "(tencent)", "2,000"]
    figures = ["2,000", "150 / 300", "13.9s", "30s", "22%"]
    assert [cell.strip() for cell in row.split("  ") if cell] == ["DescribeLiveStreamState", *figures]
    assert len(head) == len(row)
    assert "1 account, 2,000 streams" in out


def test_the_plan_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the same figures stand in a drawn table, and nothing of a name is taken for markup."""
    monkeypatch.setenv("COLUMNS", "200")
    accounts = [tencent(name="[red]main[/red]")]
    streams = [{**STREAMS[0], "account": "[red]main[/red]"}]
    done = run("check", "--config.file", written(tmp_path / "c.yml", accounts, streams), screen=True)
    assert done.code == 0
    assert "──" in done.out
    assert "[red]main[/red] (tencent)" in done.out


def test_the_plan_on_a_narrow_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On 80 columns the names of APIs stay whole and no column is cut off."""
    monkeypatch.setenv("COLUMNS", "80")
    streams = [{**STREAMS[0], "names": [f"s{i}" for i in range(100)]}]
    file = written(tmp_path / "c.yml", [tencent()], streams)
    done = run("check", "--config.file", file, screen=True)
    table = Text.from_ansi(done.out.split("\n\n")[1]).plain.splitlines()
    (row,) = (line.split() for line in table if "DescribeLiveStreamOnlineList" in line)
    assert row[1:4] == ["1", "…", "0"]
    assert any(line.endswith("limit") for line in table)
    assert max(map(len, table)) <= 80


@pytest.mark.parametrize("columns", [60, 72, 100])
def test_headings_break_between_words_alone(columns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However narrow the terminal, no word of a heading is broken, nothing is cut off, and no line is too long."""
    monkeypatch.setenv("COLUMNS", str(columns))
    streams = [{**STREAMS[0], "names": [f"s{i}" for i in range(100)]}]
    done = run("check", written(tmp_path / "c.yml", [tencent()], streams), screen=True)
    table = Text.from_ansi(done.out.split("\n\n")[1]).plain.splitlines()
    rule = next(number for number, line in enumerate(table) if "──" in line)
    words = [word for line in table[:rule] for word in line.split()]
    assert sorted(words) == sorted(word for title in check_command.HEAD for word in title.split())
    assert max(map(len, table)) <= columns
    body = "".join(sign for line in table[rule + 1 :] for sign in line if not sign.isspace())
    assert sum(map(body.count, "…")) == 12  # between the two figures of a cell, and never for what is left out


def test_the_file_as_an_argument(tmp_path: Path) -> None:
    """`check FILE` is `check --config.file FILE`."""
    file = written(tmp_path / "c.yml", [tencent()], STREAMS)
    assert run("check", file) == run("check", "--config.file", file)


def test_strict(tmp_path: Path) -> None:
    """With --strict every kind of warning fails, and its number is told; without a warning nothing changes."""
    fine = written(tmp_path / "fine.yml", [tencent()], STREAMS)
    assert run("check", "--strict", fine) == run("check", fine)
    idle = written(tmp_path / "idle.yml", [tencent(), tencent(name="idle", secret_id="x")], STREAMS)
    clear = written(tmp_path / "clear.yml", [tencent(endpoint="http://10.0.0.1")], STREAMS)
    zego = {"name": "z", "provider": "zego", "app_id": 1, "server_secret": CANARY}
    many = written(tmp_path / "many.yml", [zego], [{"names": [f"s{i}" for i in range(500)], "account": "z"}])
    for file in (idle, clear, many):
        done = run("check", "--strict", file)
        assert (done.code, run("check", file).code) == (1, 0)
        assert done.err.endswith("1 warning, which --strict makes errors\n")


def test_json_of_the_plan(tmp_path: Path) -> None:
    """For a pipeline, plan and warnings are one JSON object without a secret; --strict sets `ok` and the exit code."""
    streams = [{**STREAMS[0], "names": [f"s{i}" for i in range(100)]}]
    accounts = [tencent(endpoint="http://10.0.0.1"), tencent(name="idle", secret_id="x")]
    file = written(tmp_path / "c.yml", accounts, streams)
    done = run("check", file, "--output", "json")
    assert (done.code, done.err) == (0, "")
    assert CANARY not in done.out
    found = json.loads(done.out)
    assert (found["file"], found["ok"], found["errors"]) == (file, True, [])
    [main, idle] = found["accounts"]
    assert (main["account"], main["provider"], main["streams"], idle["streams"]) == ("main", "tencent", 100, 0)
    listing, single, figures = main["apis"]
    assert (figures["action"], figures["if_none_live"]) == ("DescribeLiveStreamPushInfoList", None)
    assert (figures["if_all_live"]["calls"], figures["if_all_live"]["refresh_seconds"]) == (1, 60)
    assert (listing["action"], listing["if_none_live"]) == ("DescribeLiveStreamOnlineList", None)
    assert single["if_none_live"]["calls"] == 100
    assert single["if_none_live"]["allowed_per_second"] == 150
    placed, text = found["warnings"]
    assert (placed["path"], placed["line"] > 0) == ("accounts[1].name", True)
    assert "is not encrypted" in text["message"]
    strict = run("check", file, "--output", "json", "--strict")
    assert (strict.code, json.loads(strict.out)) == (1, {**found, "ok": False})


def test_which_accounts_go_by_which_proxy(tmp_path: Path) -> None:
    """The plan names each proxy without its password, and says who goes straight; without a proxy it says nothing."""
    http = {"proxy_url": f"http://user:{CANARY}@proxy.example:3128"}
    accounts = [tencent(http=http), tencent(name="idle", secret_id="x"), tencent(name="third", http=dict(http))]
    file = written(tmp_path / "c.yml", accounts, STREAMS)
    done = run("check", file)
    assert "\nBy the proxy proxy.example:3128: main, third.\nStraight: idle.\n" in done.out
    assert CANARY not in done.all
    told = json.loads(run("check", file, "--output", "json").out)
    assert [account["proxy"] for account in told["accounts"]] == ["proxy.example:3128", None, "proxy.example:3128"]
    assert "Straight" not in run("check", written(tmp_path / "plain.yml", [tencent()], STREAMS)).out


def test_json_of_errors(tmp_path: Path) -> None:
    """Errors are objects with file, line, column, path and message, and nothing else is written."""
    file = tmp_path / "c.yml"
    file.write_text("accounts:\n- {name: main, provider: tencnt}\nextra: 1\n")
    done = run("check", str(file), "--output", "json")
    assert (done.code, done.err) == (1, "")
    found = json.loads(done.out)
    assert (found["ok"], found["accounts"]) == (False, [])
    places = [(each["file"], each["line"], each["column"], each["path"]) for each in found["errors"]]
    assert places == [(str(file), 2, 26, "accounts[0].provider"), (str(file), 3, 1, "extra")]
    assert found["errors"][1]["message"] == "unknown key"


def test_figures_for_live_and_dark(tmp_path: Path) -> None:
    """Where a listing is used, the calls for all streams live and for none stand side by side, with an explanation."""
    streams = [{**STREAMS[0], "names": [f"s{i}" for i in range(100)]}]
    out = check(tmp_path, tencent(region="ap-guangzhou"), streams=streams)
    listing, single, figures = (line.split() for line in out.splitlines() if "Describe" in line)
    assert figures[:4] == ["DescribeLiveStreamPushInfoList", "1", "…", "0"]
    assert "Figures of live streams are listed after the states" in out
    without = check(tmp_path, tencent(region="ap-guangzhou", figures=False), streams=streams)
    assert "PushInfoList" not in without
    assert "Figures" not in without
    assert listing[:4] == ["DescribeBackupStreamList", "1", "…", "0"]
    assert single[:4] == ["DescribeLiveStreamState", "0", "…", "100"]
    assert "the first holds if all streams are live" in out


def test_a_round_that_is_too_long(tmp_path: Path) -> None:
    """A warning says what will happen and what would help, and the exit code stays 0."""
    zego = {"name": "z", "provider": "zego", "app_id": 1, "server_secret": CANARY}
    out = check(tmp_path, zego, streams=[{"names": [f"s{i}" for i in range(500)], "account": "z"}])
    assert "warning: account z: a round takes 26s under the quota, longer than the scrape interval of 15s" in out
    assert "  - quota_share: 1 (now 0.5)" in out


def test_what_newer_documentation_allows_is_told(tmp_path: Path) -> None:
    """The default keeps the older limit of Alibaba; the plan says that more may be allowed, unless a quota is set."""
    alibaba = {"name": "a", "provider": "alibaba", "access_key_id": "i", "access_key_secret": CANARY}
    streams = [{"name": "s", "account": "a", "domain": "d", "app": "live"}]
    told = (
        "Newer documentation allows 100/s of DescribeLiveStreamState per account; "
        "to keep half of that, set quota: {DescribeLiveStreamState: 50}."
    )
    assert told in check(tmp_path, alibaba, streams=streams)
    own = {**alibaba, "quota": {"DescribeLiveStreamState": 50}}
    assert told not in check(tmp_path, own, streams=streams)


def test_a_list_that_comes_once_a_minute_is_told(tmp_path: Path) -> None:
    """Tencent's online list refreshes its streams once a minute, and what happens in between is said."""
    streams = [{**STREAMS[0], "names": [f"s{i}" for i in range(5000)]}]
    out = check(tmp_path, tencent(), streams=streams)
    (listing,) = (line.split() for line in out.splitlines() if "DescribeLiveStreamOnlineList" in line)
    assert listing[:4] == ["DescribeLiveStreamOnlineList", "1", "…", "0"]
    assert "1m" in listing
    assert "in between, streams\nare asked singly, as far as the quota goes" in out


def test_scrape_settings_count(tmp_path: Path) -> None:
    """The plan is reckoned with the configuration's own budget, reuse and max_age."""
    out = check(tmp_path, tencent(), timeout="2s", reuse="20s", max_age="5m")
    assert "a budget of 2s (scrape.timeout), answers reused for 20s and counting for 5m." in out
    assert " 30s " in out


def test_shared_credentials(tmp_path: Path) -> None:
    """Accounts that sign with one key share a quota at the provider, and are told what they use of it together."""
    out = check(
        tmp_path,
        tencent(),
        tencent(name="other", quota_share=0.7),
        tencent(name="third", secret_id="another-id"),
        streams=[{**STREAMS[0], "account": name, "names": [name]} for name in ("main", "other", "third")],
    )
    assert "accounts main and other sign with the same tencent credentials" in out
    assert "they may use 120% together" in out
    assert "third sign" not in out
    assert "smallest of their limits" in out


def test_shared_app_id(tmp_path: Path) -> None:
    """ZEGO counts by AppID: two accounts of one app share a quota, whatever secrets they give."""
    accounts = [
        {"name": name, "provider": "zego", "app_id": app_id, "server_secret": secret * 32}
        for name, app_id, secret in (("main", 7, "a"), ("other", 7, "b"), ("third", 8, "a"))
    ]
    streams = [{"account": one["name"], "names": [one["name"]]} for one in accounts]
    out = check(tmp_path, *accounts, streams=streams)
    assert "accounts main and other are one account and share one quota at zego" in out
    assert "third are" not in out


@pytest.mark.parametrize(
    ("endpoint", "warned"),
    [
        ("http://live.proxy.example", True),
        ("http://10.0.0.1:8080", True),
        ("http://127.0.0.1:8080", False),
        ("http://[::1]:8080", False),
        ("http://localhost:8080", False),
        ("https://live.proxy.example", False),
    ],
)
def test_endpoints_in_the_clear(endpoint: str, warned: bool, tmp_path: Path) -> None:
    """An http:// endpoint is warned of, unless it never leaves the machine."""
    out = check(tmp_path, tencent(endpoint=endpoint))
    assert ("is not encrypted" in out) == warned


@pytest.mark.parametrize(
    ("mode", "secret", "warned"),
    [(0o644, "secret_key", True), (0o640, "secret_key", True), (0o600, "secret_key", False)],
)
def test_plain_secrets_that_others_may_read(mode: int, secret: str, warned: bool, tmp_path: Path) -> None:
    """A file with secrets in it that its group or everybody may read is warned of."""
    file = Path(written(tmp_path / "c.yml", [tencent()], STREAMS))
    file.chmod(mode)
    done = run("check", "--config.file", str(file))
    assert done.code == 0
    assert (f"may be read by others (mode {mode:04o})" in done.err) == warned
    assert CANARY not in done.all


def test_a_readable_file_without_secrets(tmp_path: Path) -> None:
    """A configuration whose secrets stand elsewhere may be read by all."""
    account = {"name": "main", "provider": "tencent", "secret_id_env": "ID", "secret_key_env": "KEY"}
    file = Path(written(tmp_path / "c.yml", [account], STREAMS))
    file.chmod(0o644)
    done = run("check", "--config.file", str(file), environ={"ID": "id", "KEY": CANARY})
    assert (done.code, done.err) == (0, "")
    assert "warning" not in done.out


def test_reuse_beyond_max_age(tmp_path: Path) -> None:
    """Answers that are reused for longer than they count leave gaps, and that is told."""
    assert "scrape.reuse (2m) is not below scrape.max_age (1m)" in check(tmp_path, tencent(), reuse="2m", max_age="1m")


def test_warnings_of_the_configuration(tmp_path: Path) -> None:
    """What the configuration itself finds odd is told with its place, marked as a warning, and does not fail."""
    file = written(tmp_path / "c.yml", [tencent(), tencent(name="idle", secret_id="x")], STREAMS)
    done = run("check", "--config.file", file)
    assert done.code == 0
    assert "idle (tencent)" in done.out
    assert done.err.endswith("accounts[1].name: warning: no stream is watched through this account\n")


def test_what_is_doubtful_stands_together(tmp_path: Path) -> None:
    """Warnings of every kind are told on standard error, behind the plan, and those with a place first."""
    zego = {"name": "z", "provider": "zego", "app_id": 1, "server_secret": CANARY, "endpoint": "http://10.0.0.1"}
    file = written(tmp_path / "c.yml", [zego, tencent(name="\x1b[2J")], [{"names": [f"s{i}" for i in range(500)],
                   "account": "z", "playback": ["https://h/{stream}.mpd"]}], reuse="2m", max_age="2m")  # fmt: skip
    done = run("check", file)
    told = [line.removeprefix(f"{file}:").lstrip("0123456789:") for line in done.err.splitlines() if "  - " not in line]
    assert (done.code, "warning" in done.out, "\x1b" in done.all) == (0, False, False)
    assert [" ".join(line.split()[:4]) for line in told] == [
        "accounts[1].name: warning: no stream",
        "streams[0].playback[0]: warning: ends in",
        "warning: account z: a",
        "warning: account z: the",
        "warning: scrape.reuse (2m) is",
        "warning: checks of the",
    ]
    assert run("check", "--strict", file).err == f"{done.err}{len(told)} warnings, which --strict makes errors\n"
    assert len(json.loads(run("check", "--output", "json", file).out)["warnings"]) == len(told)


def test_names_cannot_steer_the_terminal(tmp_path: Path) -> None:
    """Control characters in an account's name are not written to the terminal."""
    streams = [{**STREAMS[0], "account": "\x1b[2J"}]
    assert "\x1b" not in check(tmp_path, tencent(name="\x1b[2J"), streams=streams)


def test_schema() -> None:
    """`schema` prints the JSON Schema of the configuration and nothing else, its descriptions without links."""

    def undescribed(part: dict[str, Any]) -> dict[str, Any]:
        return {key: each for key, each in part.items() if key != "description" or not isinstance(each, str)}

    done = run("schema")
    assert (done.code, done.err) == (0, "")
    made = json.dumps(config.schema(providers.all_providers()))
    assert json.loads(done.out, object_hook=undescribed) == json.loads(made, object_hook=undescribed)


SCHEDULED = """\
accounts: [{name: main, provider: tencent, secret_id: i, secret_key: k}]
streams:
  - {names: [a, b], account: main, domain: push.example, expected: spring}
  - {name: c, account: main, domain: push.example, expected: [spring, nights]}
  - {name: d, account: main, domain: push.example, labels: {team: x}}
  - {name: e, account: main, domain: push.example, expected: never}
time_intervals:
  - {name: spring, time_intervals: [{months: ["march:april"], years: [2098], location: America/New_York}]}
  - {name: nights, time_intervals: [{days_of_month: [1], months: [january], years: ["2097"], location: Asia/Shanghai}]}
maintenance:
  - {start: "2097-12-31T23:59:58Z", end: "2098-02-01T00:00:00Z", match: {team: x}, comment: new encoders}
"""


def test_the_next_changes_of_each_schedule(tmp_path: Path) -> None:
    """Each distinct schedule is there once, with its streams, its verdict and three changes in its own time zone."""
    file = tmp_path / "c.yml"
    file.write_text(SCHEDULED)
    file.chmod(0o600)
    done = run("check", str(file))
    assert (done.code, done.err) == (0, "")
    table = done.out.split("\n\n")[-1].splitlines()
    assert [[cell.strip() for cell in line.split("  ") if cell] for line in table] == [
        ["SCHEDULE", "STREAMS", "EXPECTED", "NEXT CHANGE", "THEN", "THEN"],
        ["spring", "2", "no", "yes: Sat 2098-03-01 00:00 EST", "no: Thu 2098-05-01 00:00 EDT"],
        ["spring, nights", "1", "no", "yes: Mon 2096-12-31 11:00 EST", "no: Tue 2097-01-01 11:00 EST",
         "yes: Sat 2098-03-01 00:00 EST"],
        ["always (maintenance)", "1", "yes", "no: Tue 2097-12-31 23:59:58 UTC", "yes: Sat 2098-02-01 00:00 UTC"],
        ["never", "1", "no", "none"],
    ]  # fmt: skip


def test_the_next_changes_for_pipelines(tmp_path: Path) -> None:
    """`--output json` has the same, with times in RFC 3339 and the maintenance ahead."""
    file = tmp_path / "c.yml"
    file.write_text(SCHEDULED)
    found = json.loads(run("check", str(file), "--output", "json").out)["schedules"]
    assert [(one["schedule"], one["streams"], one["expected"]) for one in found] == [
        (["spring"], 2, False), (["spring", "nights"], 1, False), (["always"], 1, True), (["never"], 1, False),
    ]  # fmt: skip
    assert (found[0]["time_zone"], found[2]["time_zone"]) == ("America/New_York", "UTC")
    assert found[0]["changes"] == [
        {"at": "2098-03-01T00:00:00-05:00", "expected": True},
        {"at": "2098-05-01T00:00:00-04:00", "expected": False},
    ]
    assert found[2]["maintenance"] == [
        {"start": "2097-12-31T23:59:58+00:00", "end": "2098-02-01T00:00:00+00:00", "comment": "new encoders"}
    ]
    assert found[3]["changes"] == []


def test_without_schedules_there_is_nothing_to_say_of_them(tmp_path: Path) -> None:
    """Where every stream is always expected, the plan stands alone."""
    assert "EXPECTED" not in check(tmp_path, tencent())


def test_the_plan_of_shards(tmp_path: Path) -> None:
    """All shards are planned, each at its part of the quota; the longest round is shown, and what dividing costs."""
    streams = [{**STREAMS[0], "names": [f"s{i}" for i in range(2000)]}]

    def check_shards(**account: Any) -> str:
        path = written(tmp_path / "c.yml", [tencent(figures=False, **account)], streams)
        done = run("check", path, environ={"STREAM_EXPORTER_SHARD": "streams-1/4"})
        assert done.code == 0
        return done.out

    out = check_shards(plan="single")
    account, row = out.splitlines()[3:5]
    largest = int(account.split()[-1])
    assert 500 < largest < 600
    assert "37.5 / 300" in row
    assert f"4 shards: of main the one whose round takes longest is shown, with {largest} of 2,000 streams;\n" in out
    assert "\na round of all shards costs 2,000 calls.\n" in out
    out = check_shards(plan="list", region="ap-guangzhou")
    assert "\na round of all shards costs 4 calls, where one exporter would make 1.\n" in out


def test_the_plan_of_shards_as_json(tmp_path: Path) -> None:
    """For pipelines there are all streams, the largest shard and its figures, and the calls of all shards together."""
    streams = [{**STREAMS[0], "names": [f"s{i}" for i in range(200)]}]
    path = written(tmp_path / "c.yml", [tencent(plan="single", figures=False)], streams)
    Path(path).write_text(f"{Path(path).read_text()}\nshard: {{count: 4}}\n")
    done = run("check", path, "--output", "json")
    [account] = json.loads(done.out)["accounts"]
    largest = account["shards"].pop("largest")
    assert account["streams"] == 200
    assert account["shards"] == {"count": 4, "calls": 200, "undivided": 200}
    [api] = account["apis"]
    assert api["if_all_live"]["calls"] == largest["streams"] < 100
    assert api["if_all_live"]["allowed_per_second"] == 37.5
    assert 0 <= largest["index"] < 4
