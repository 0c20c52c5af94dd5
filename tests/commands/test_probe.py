"""`probe` against the simulated clouds: what was asked, what came back, what it means, what to do."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter.simulator import Fault, Simulator, World, serving
from tests.commands.running import CANARY, Done, process, run, tencent, written

TOKEN = "canary-token-0001"
KEY_ID = "canary-key-id-0001"


def world() -> World:
    """Return three clouds with a few streams in every state."""
    made = World()
    made.add_account("main", "tencent", secret_id=KEY_ID, secret_key=CANARY, token=TOKEN)
    for name, state in (("up", "active"), ("down", "inactive"), ("banned", "forbidden")):
        made.add_stream(name, "main", state=state, domain="push.example", app="live")
    made.add_account("rtc", "zego", app_id=1, server_secret=CANARY[:32].ljust(32, "0"))
    made.add_stream("gone", "rtc", state="not_found")
    return made


@pytest.fixture
def cloud() -> Iterator[Simulator]:
    """Serve that world."""
    with serving(world()) as simulator:
        yield simulator


def configured(path: Path, url: str, **fields: Any) -> str:
    """Write the configuration that fits the world."""
    main = tencent(secret_id=KEY_ID, token=TOKEN, endpoint=url, plan="single", **fields)
    rtc = {"name": "rtc", "provider": "zego", "app_id": 1, "server_secret": CANARY[:32].ljust(32, "0"), "endpoint": url}
    streams: list[dict[str, Any]] = [
        {"names": ["up", "down", "banned"], "account": "main", "domain": "push.example"},
        {"name": "gone", "account": "rtc", "labels": {"team": "a"}},
    ]
    return written(path / "c.yml", [main, rtc], streams)


def probe(file: str, *argv: str, screen: bool = False) -> Done:
    """Probe, and hold whatever is said against the secrets."""
    done = run("probe", "--config.file", file, *argv, screen=screen)
    assert not [secret for secret in (CANARY, CANARY[:32], TOKEN, KEY_ID) if secret in done.all]
    return done


def objects(done: Done) -> dict[str, dict[str, Any]]:
    """Return the JSON output by stream."""
    return {row["stream"]: row for row in json.loads(done.out)}


def test_every_state_in_a_table(cloud: Simulator, tmp_path: Path) -> None:
    """All streams are asked once, each has its line with its state, and the exit code is 0 for definite answers."""
    done = probe(configured(tmp_path, cloud.url))
    assert (done.code, done.err) == (0, "")
    rows = {
        line.split()[0]: line.split()[1] for line in done.out.splitlines() if line.startswith(("tencent/", "zego/"))
    }
    assert rows == {
        "tencent/up": "active",
        "tencent/down": "inactive",
        "tencent/banned": "forbidden",
        "zego/gone": "not_found",
    }
    assert "4 of 4 streams got a definite answer, by 4 calls." in done.out
    assert sorted(call.stream for call in cloud.world.log) == sorted(f"{name}" for name in rows)


def test_few_calls_are_shown_whole(cloud: Simulator, tmp_path: Path) -> None:
    """For a single target the request stands there, redacted, with the answer and how it was judged."""
    done = probe(configured(tmp_path, cloud.url), "tencent/up")
    assert "Call 1: DescribeLiveStreamState for up" in done.out
    assert "    Authorization: <redacted>\n" in done.out
    assert "    X-TC-Token: <redacted>\n" in done.out
    assert '{"AppName":"live","DomainName":"push.example","StreamName":"up"}' in done.out
    assert '"StreamState": "active"' in done.out
    assert "judged active (code ok)" in done.out
    assert "zego" not in done.out


def test_meaning_and_advice_come_from_the_catalogue(cloud: Simulator, tmp_path: Path) -> None:
    """What came back is explained once for each kind, with the number of streams."""
    done = probe(configured(tmp_path, cloud.url), "zego/gone", "tencent/down", "tencent/banned")
    assert "zego 41004 (media APIs)\n  class: state not_found\n  meaning: ZEGO knows no such stream" in done.out
    assert "what to do: Lift the ban under CSS console" in done.out
    assert done.out.count("what to do: If it should be live, check the encoder") == 1


def test_json(cloud: Simulator, tmp_path: Path) -> None:
    """JSON has an object for each stream as the API tells it, with what was asked and what came back."""
    done = probe(configured(tmp_path, cloud.url), "--output", "json")
    assert (done.code, done.err) == (0, "")
    gone = objects(done)["gone"]
    assert (gone["provider"], gone["account"], gone["labels"]) == ("zego", "rtc", {"team": "a"})
    assert (gone["state"], gone["active"], gone["error"]) == ("not_found", False, None)
    assert gone["asked"]["action"] == "DescribeRTCStreamState"
    assert "&Signature=<redacted>&" in gone["asked"]["request"]
    assert gone["came_back"]["status"] == 200
    assert json.loads(gone["came_back"]["body"])["Code"] == 41004
    assert gone["came_back"]["judged"] == "not_found (code 41004)"


def test_a_refused_key(cloud: Simulator, tmp_path: Path) -> None:
    """A wrong key fails its own streams alone, with the vendor's code, its RequestId and what to do; exit code 1."""
    done = probe(configured(tmp_path, cloud.url, secret_key="another-canary-0001"))
    assert done.code == 1
    assert "AuthFailure.SignatureFailure" in done.out
    assert "RequestId " in done.out
    assert "class: failure, reason auth" in done.out
    assert "1 of 4 streams got a definite answer" in done.out
    assert "another-canary-0001" not in done.all


def test_nobody_answers(tmp_path: Path) -> None:
    """An endpoint where nothing listens is told as a connection failure for each stream, in JSON too."""
    done = probe(configured(tmp_path, "http://127.0.0.1:9"), "--output", "json")
    assert done.code == 1
    up = objects(done)["up"]
    assert (up["state"], up["active"], up["error"]["reason"]) == ("unknown", None, "connection")
    assert up["came_back"]["status"] is None
    assert "Check firewall" in up["error"]["advice"]


def test_an_answer_cannot_steer_the_terminal(cloud: Simulator, tmp_path: Path) -> None:
    """Control characters in what comes back, a body or a message, are not written to the terminal."""
    cloud.world.add_fault(Fault("text", value="\x1b[2Jbusy\x9b31m\rnothing", stream="tencent/up"))
    cloud.world.add_fault(Fault("code", code="InternalError", message="\x1b[2Jbusy", stream="tencent/down"))
    done = probe(configured(tmp_path, cloud.url), "tencent/up", "tencent/down")
    assert done.code == 1
    assert "class: failure, reason malformed" in done.out
    assert " [2Jbusy" in done.out
    assert not [sign for sign in done.out if not sign.isprintable() and sign != "\n"]


def test_a_provider_that_repeats_the_secrets(cloud: Simulator, tmp_path: Path) -> None:
    """Credentials that a provider's message repeats are taken out, in the table and in JSON."""
    cloud.world.add_fault(Fault("code", code="AuthFailure.TokenFailure", message=f"{KEY_ID} {CANARY} {TOKEN}"))
    file = configured(tmp_path, cloud.url)
    for argv in (("tencent/up",), ("tencent/up", "--output", "json")):
        done = probe(file, *argv)
        assert done.code == 1
        assert "<secret> <secret> <secret>" in done.out


def test_rounds_repeat_until_all_had_their_turn(cloud: Simulator, tmp_path: Path) -> None:
    """With a quota that lets one call into a round, further rounds are made, and each stream is asked exactly once."""
    file = configured(tmp_path, cloud.url, quota={"DescribeLiveStreamState": 4.0})
    Path(file).write_text(Path(file).read_text().replace("scrape: {}", "scrape: {timeout: 50ms}"))
    started = time.monotonic()
    done = probe(file)
    assert done.code == 0
    assert time.monotonic() - started >= 2 / 4
    assert len(cloud.world.log) == 4


def test_unknown_targets(cloud: Simulator, tmp_path: Path) -> None:
    """A target that is not configured exits with 2 before anything is asked, and a likely one is named."""
    done = probe(configured(tmp_path, cloud.url), "tencent/upp", "gone", "tencent/up")
    assert (done.code, done.out) == (2, "")
    assert "unknown stream tencent/upp" in done.err
    assert "did you mean 'tencent/up'?" in done.err
    assert "did you mean 'zego/gone'?" in done.err
    assert not cloud.world.log


@pytest.mark.parametrize(
    ("targets", "asked"),
    [
        (["tencent/*"], {"up", "down", "banned"}),
        (["*/*n*"], {"down", "banned", "gone"}),
        (["tencent/[ud]*", "zego/gone"], {"up", "down", "gone"}),
        (["tencent/up", "*/up"], {"up"}),
    ],
)
def test_patterns_of_streams(targets: list[str], asked: set[str], cloud: Simulator, tmp_path: Path) -> None:
    """A pattern stands for all streams that fit it, each asked once."""
    done = probe(configured(tmp_path, cloud.url), *targets, "--output", "json")
    assert done.code == 0
    assert set(objects(done)) == asked
    assert len(cloud.world.log) == len(asked)


def test_a_name_that_looks_like_a_pattern(cloud: Simulator, tmp_path: Path) -> None:
    """A stream whose name holds the signs of a pattern is meant by its name."""
    file = Path(configured(tmp_path, cloud.url))
    file.write_text(file.read_text() + "- {name: 'up[1]', account: main, domain: push.example, stream: up}\n")
    done = probe(str(file), "tencent/up[1]", "--output", "json")
    assert list(objects(done)) == ["up[1]"]


def test_patterns_that_fit_nothing(cloud: Simulator, tmp_path: Path) -> None:
    """A pattern without a stream exits with 2 before anything is asked; a cloud's other name leads to its word."""
    done = probe(configured(tmp_path, cloud.url), "tencent/x*", "qcloud/*", "tencent/*")
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines() == [
        "no stream of the configuration fits tencent/x*",
        "no stream of the configuration fits qcloud/*; did you mean 'tencent'?",
    ]
    assert not cloud.world.log


def test_the_file_as_an_argument(cloud: Simulator, tmp_path: Path) -> None:
    """The configuration may stand before the streams, without its flag."""
    done = run("probe", configured(tmp_path, cloud.url), "zego/gone")
    assert done.code == 0
    assert "1 of 1 streams got a definite answer" in done.out


def test_a_wrong_configuration(tmp_path: Path) -> None:
    """Errors of the configuration are told as by check, and exit with 2."""
    file = tmp_path / "c.yml"
    file.write_text(f"accounts: [{{name: a, provider: tencent, secret_key: {CANARY}, secret: x}}]\n")
    done = probe(str(file))
    assert (done.code, done.out) == (2, "")
    assert f"{file}:1:" in done.err


def test_nothing_watched(tmp_path: Path) -> None:
    """A configuration without streams is no failure, and says what is missing."""
    done = probe(written(tmp_path / "c.yml", [tencent()], []))
    assert done.code == 0
    assert "No stream is watched" in done.out


def test_on_a_terminal(cloud: Simulator, tmp_path: Path) -> None:
    """On a terminal the table is drawn and progress is shown on standard error."""
    done = probe(configured(tmp_path, cloud.url), screen=True)
    assert done.code == 0
    assert "──" in done.out
    assert "asking" in done.err


def test_many_calls_are_not_shown_whole(tmp_path: Path) -> None:
    """With many calls only the table and the explanations are shown."""
    made = world()
    for count in range(20):
        made.add_stream(f"s{count}", "main", domain="push.example", app="live")
    with serving(made) as simulator:
        file = configured(tmp_path, simulator.url)
        names = ", ".join(f"s{count}" for count in range(20))
        text = Path(file).read_text()
        Path(file).write_text(f"{text}- {{names: [{names}], account: main, domain: push.example}}\n")
        done = probe(file)
    assert done.code == 0
    assert "Call 1" not in done.out
    assert "by 24 calls" in done.out


def test_interrupted(cloud: Simulator, tmp_path: Path) -> None:
    """Ctrl-C ends a long probe with what is known until then, exit code 1, and no traceback."""
    file = configured(tmp_path, cloud.url, quota={"DescribeLiveStreamState": 0.02})
    with process("probe", "--config.file", file) as child:
        _wait_for_calls(cloud, 2)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=30)
    assert child.returncode == 1
    assert err == "stopped; what follows is what was learned until now\n"
    assert "2 streams were not asked" in out
    assert "2 of 4 streams got a definite answer" in out


def _wait_for_calls(cloud: Simulator, count: int) -> None:
    end = time.monotonic() + 30
    while len(cloud.world.log) < count:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_hanging_provider_costs_the_others_nothing(cloud: Simulator, tmp_path: Path) -> None:
    """A cloud that never answers fails by timeout, while the other one's answers are there."""
    cloud.world.add_fault(Fault("hang", provider="tencent"))
    done = probe(configured(tmp_path, cloud.url, timeout="200ms"), "--output", "json")
    rows = objects(done)
    assert done.code == 1
    assert {name: row["state"] for name, row in rows.items()} == {
        "up": "unknown", "down": "unknown", "banned": "unknown", "gone": "not_found",
    }  # fmt: skip
    assert rows["up"]["error"]["reason"] == "timeout"


def test_a_stream_that_is_named_is_asked_whichever_shard_watches_it(cloud: Simulator, tmp_path: Path) -> None:
    """Who names a stream wants to know; without a name only the streams of this shard are asked."""
    path = configured(tmp_path, cloud.url)
    names = {"tencent/up", "tencent/down", "tencent/banned", "zego/gone"}
    asked = []
    for index in range(2):
        environ = {"STREAM_EXPORTER_SHARD": f"{index}/2"}
        done = run("probe", "--config.file", path, "--output", "json", environ=environ)
        asked.append({f"{one['provider']}/{one['stream']}" for one in json.loads(done.out)})
        named = run("probe", "--config.file", path, *names, "--output", "json", environ=environ)
        assert {f"{one['provider']}/{one['stream']}" for one in json.loads(named.out)} == names
    assert asked[0] | asked[1] == names
    assert not asked[0] & asked[1]
