"""Shards: which streams an exporter watches where several divide them, and how it is told."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from exporter.config import Config, ConfigErrors, load, redacted_slices
from exporter.config.shards import Shard
from exporter.providers import all_providers
from tests.test_webconfig import installed

MAIN = """\
accounts:
  - {name: t, provider: tencent, secret_id: i, secret_key: k}
  - {name: z, provider: zego, app_id: 1, server_secret: s}
"""
STREAMS = """\
streams:
  - {name: one, account: t, domain: d.example}
  - {names: [a, b, c, d, e, f], account: t, domain: d.example, labels: {team: x}}
  - {names: [a, b, c], account: z}
stream_files: [more.csv, more.yml]
"""
TABLE = "name,account,domain\n" + "".join(f"csv-{number},t,d.example\n" for number in range(20))
LIST = "- {name: last, account: z}\n- {names: [late, later], account: z}\n"
MALFORMED = ("4", "-1/4", "01/4", "0/4/4", "$(POD_NAME)/4", "streams/4", "0 / 4", "٣/4", "1e1/50", "0/4\n", "hush-hush")
LACKING = "lacks index, and this machine's name"
VARIABLE = "STREAM_EXPORTER_SHARD"


def loaded(
    folder: Path, text: str, environ: Mapping[str, str] | None = None, *, host: str = "", whole: bool = False
) -> Config:
    """Load a configuration, with two files of streams beside it."""
    for name, content in (("c.yml", text), ("more.csv", TABLE), ("more.yml", LIST)):
        if not (folder / name).exists() or name == "c.yml":
            (folder / name).write_text(content)
    return load(folder / "c.yml", all_providers(), environ or {}, host=host, whole=whole)


def errors(folder: Path, text: str, environ: Mapping[str, str] | None = None, *, host: str = "") -> list[str]:
    """Return the errors of a configuration."""
    with pytest.raises(ConfigErrors) as caught:
        loaded(folder, text, environ, host=host)
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


def keys(config: Config) -> list[tuple[str, str]]:
    """Return provider and name of the streams."""
    return [(config.provider_of(stream), stream.name) for stream in config.streams]


# --- the division ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "name", "four", "fifty"),
    [
        ("tencent", "arena-1", 0, 44),
        ("tencent", "arena-2", 2, 22),
        ("zego", "arena-1", 3, 7),
        ("volcengine", "直播间-一号", 3, 31),
        ("alibaba", "a/b", 1, 47),
    ],
)
def test_a_stream_keeps_its_shard_for_good(provider: str, name: str, four: int, fifty: int) -> None:
    """The division is the same in every process and every version: another one would lose what is known of streams."""
    assert (Shard(0, 4).of(provider, name), Shard(0, 50).of(provider, name)) == (four, fifty)


def test_prometheus_divides_in_the_same_way(tmp_path: Path) -> None:
    """Its relabeling action hashmod comes to the same shard, so that users can find it out for themselves."""
    promtool = installed("promtool", "nobody seconds how streams are divided")
    names = ["arena-1", "arena-2", "a/b", "直播间", "x" * 200, *(f"s{number}" for number in range(40))]
    relabel = {"source_labels": ["provider", "stream"], "separator": "/", "action": "hashmod", "modulus": 7,
               "target_label": "shard"}  # fmt: skip
    targets = [{"targets": [f"h{number}:1"], "labels": {"provider": "tencent", "stream": name}}
               for number, name in enumerate(names)]  # fmt: skip
    job = {"job_name": "j", "static_configs": targets, "relabel_configs": [relabel]}
    (tmp_path / "p.yml").write_text(json.dumps({"scrape_configs": [job]}))
    command = [promtool, "check", "service-discovery", "--timeout=2s", str(tmp_path / "p.yml"), "j"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    theirs = {one["labels"]["stream"]: int(one["labels"]["shard"]) for one in json.loads(done.stdout)}
    assert theirs == {name: Shard(0, 7).of("tencent", name) for name in names}


def test_each_stream_is_of_exactly_one_shard(tmp_path: Path) -> None:
    """Between them the shards watch what one exporter would, in its order, whichever way streams are listed."""
    whole = keys(loaded(tmp_path, MAIN + STREAMS))
    parts = [keys(loaded(tmp_path, MAIN + STREAMS, {VARIABLE: f"{index}/3"})) for index in range(3)]
    assert len(whole) == 33
    assert sorted(key for part in parts for key in part) == sorted(whole)
    for index, part in enumerate(parts):
        assert 0 < len(part) < 33
        assert part == [key for key in whole if Shard(0, 3).of(*key) == index]


def test_more_streams_move_none(tmp_path: Path) -> None:
    """A stream that is added, taken away or listed elsewhere changes no other stream's shard."""
    before = keys(loaded(tmp_path, MAIN + STREAMS, {VARIABLE: "1/3"}))
    more = STREAMS.replace("names: [a, b,", "names: [new, b, newer,").replace(
        "more.csv, more.yml", "more.yml, more.csv"
    )
    after = keys(loaded(tmp_path, MAIN + more, {VARIABLE: "1/3"}))
    assert {key for key in before if key != ("tencent", "a")} <= set(after)
    assert {name for _, name in set(after) - set(before)} <= {"new", "newer"}


def test_all_shards_are_read_for_a_check(tmp_path: Path) -> None:
    """Read as a whole, there are the streams of all shards, and how many shards there are."""
    whole = loaded(tmp_path, MAIN + STREAMS + "shard: {count: 3}\n", whole=True)
    assert len(whole.streams) == 33
    assert whole.shard.count == whole.quota_parts == 3


def test_what_is_wrong_with_a_stream_is_its_own_shards_affair(tmp_path: Path) -> None:
    """An error stops the shard that it belongs to and is told by a check; the other shards are not held up."""
    (tmp_path / "more.csv").write_text(f"{TABLE}csv-3,t,d.example\n")
    index = Shard(0, 3).of("tencent", "csv-3")
    repeated = "more.csv:22:1: [20].name: a tencent stream is named 'csv-3' already"
    expected = [f"{repeated}, first at {tmp_path}/more.csv:5"]
    assert errors(tmp_path, MAIN + STREAMS, {VARIABLE: f"{index}/3"}) == expected
    assert errors(tmp_path, MAIN + STREAMS) == expected
    assert loaded(tmp_path, MAIN + STREAMS, {VARIABLE: f"{(index + 1) % 3}/3"}).streams


def test_a_repeated_name_is_told_with_the_line_of_a_file_read_before(tmp_path: Path) -> None:
    """Files without errors are not held in memory; where the first of two names stands is found all the same."""
    (tmp_path / "more.yml").write_text("- {name: csv-3, account: t, domain: d.example}\n")
    [error] = errors(tmp_path, MAIN + STREAMS)
    assert error == (
        f"more.yml:1:10: [0].name: a tencent stream is named 'csv-3' already, first at {tmp_path}/more.csv:5"
    )


def test_a_file_that_has_changed_since_it_was_read_confuses_nobody(tmp_path: Path) -> None:
    """If the file of the first of two names is another by then, or has gone, the error is told all the same."""
    (tmp_path / "more.yml").write_text("- {name: csv-3, account: t, domain: d.example}\n")
    for after in (b"", b'name,"account\n', b"\xff", b"x"):
        found = dict.fromkeys([tmp_path / "more.csv"], 0)

        def read(path: Path, after: bytes = after, found: dict[Path, int] = found) -> bytes:
            if path in found:
                found[path] += 1
                if found[path] > 1:
                    return after
            return path.read_bytes()

        (tmp_path / "c.yml").write_text(MAIN + STREAMS)
        (tmp_path / "more.csv").write_text(TABLE)
        with pytest.raises(ConfigErrors, match=r"more\.yml:1:10: .* already, first at .*more\.csv:1$"):
            load(tmp_path / "c.yml", all_providers(), {}, read)
        assert found[tmp_path / "more.csv"] == 2


def test_nobody_is_warned_of_what_another_shard_uses(tmp_path: Path) -> None:
    """An account, a time interval or maintenance that only other shards' streams have is no mistake."""
    text = f"""{MAIN}
streams:
  - {{name: arena-1, account: z, expected: office, labels: {{team: x}}}}
  - {{names: [{", ".join(f"s{number}" for number in range(20))}], account: t, domain: d.example}}
time_intervals: [{{name: office, time_intervals: [{{weekdays: [monday]}}]}}]
maintenance: [{{start: "2026-12-01T22:00:00Z", end: "2026-12-02T02:00:00Z", match: {{team: x}}}}]
"""
    shards = [loaded(tmp_path, f"{text}shard: {{index: {index}, count: 4}}\n") for index in range(4)]
    assert [len({stream.account for stream in shard.streams}) for shard in shards] == [1, 1, 1, 2]
    assert [shard.warnings for shard in shards] == [()] * 4


def test_a_shard_without_streams_is_a_warning(tmp_path: Path) -> None:
    """It may be meant, for there may be more shards than streams, and it says which shard it is."""
    text = f"{MAIN}streams: [{{name: arena-1, account: z}}]\nshard: {{index: 0, count: 4}}\n"
    assert [one.message for one in loaded(tmp_path, text).warnings] == ["no stream is watched by shard 0/4"]


# --- how it is told --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "environ", "host", "shard"),
    [
        ("", "", "streams-3", Shard()),
        ("shard: {index: 1, count: 4}", "", "streams-3", Shard(1, 4)),
        ("shard: {count: 4}", "", "streams-3", Shard(3, 4)),
        ("shard: {count: 1}", "", "laptop", Shard()),
        ("", "2/4", "streams-3", Shard(2, 4)),
        ("", "streams-12/50", "", Shard(12, 50)),
        ("shard: {count: 4}", "2/4", "laptop", Shard(2, 4)),
        ("shard: {index: 0, count: 2}", "2/4", "", Shard(2, 4)),
    ],
)
def test_the_shard_is_told_by_file_environment_or_name(
    tmp_path: Path, written: str, environ: str, host: str, shard: Shard
) -> None:
    """The environment wins over the file; without an index it is the number at the end of the machine's name."""
    config = loaded(tmp_path, f"{MAIN}{STREAMS}{written}\n", {VARIABLE: environ}, host=host)
    assert config.shard == shard
    warnings = [one.message for one in config.warnings if one.path == "shard"]
    contradicted = written.startswith("shard: {index: 0")
    assert warnings == ([f"the environment variable {VARIABLE}, 2/4, is used instead"] if contradicted else [])
    shown = yaml.safe_load("".join(redacted_slices(config))).get("shard")
    assert shown == ({"index": shard.index, "count": shard.count} if shard.count > 1 else None)


@pytest.mark.parametrize(
    ("written", "host", "wanted"),
    [
        ("{index: 4, count: 4}", "", "16: shard.index: must be below the count of 4: shards count from 0"),
        ("{index: -1, count: 4}", "", "16: shard.index: must be at least 0"),
        ("{index: 0, count: 0}", "", "26: shard.count: must be at least 1"),
        ("{index: 0, count: 1025}", "", "26: shard.count: must be at most 1024"),
        ("{index: 0}", "", "8: shard.count: is missing"),
        ("0/4", "", "8: shard: is text; a mapping is expected"),
        ("{index: 0, counts: 4, count: 4}", "", "19: shard.counts: unknown key; did you mean 'count'?"),
        ("{count: 4}", "laptop", f"8: shard: {LACKING} does not end in -NUMBER; give it, or {VARIABLE}=INDEX/COUNT"),
        ("{count: 4}", "streams-4", f"8: shard: {LACKING} ends in 4, which is not below count"),
    ],
)  # fmt: skip
def test_errors_of_the_file(tmp_path: Path, written: str, host: str, wanted: str) -> None:
    """What cannot be a shard is an error with its place."""
    lines = (MAIN + STREAMS).count("\n") + 1
    assert errors(tmp_path, f"{MAIN}{STREAMS}shard: {written}\n", host=host) == [f"c.yml:{lines}:{wanted}"]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("4/4", "has an index that is not below its count of 4: shards count from 0"),
        ("streams-7/4", "has an index that is not below its count of 4: shards count from 0"),
        ("0/0", "has a count that is not from 1 to 1,024"),
        ("0/1025", "has a count that is not from 1 to 1,024"),
        *((given, "is not INDEX/COUNT, such as 0/4, nor POD-INDEX/COUNT, such as streams-0/4") for given in MALFORMED),
    ],
)  # fmt: skip
def test_errors_of_the_environment(tmp_path: Path, given: str, why: str) -> None:
    """The message names the variable and says what it should be; it does not repeat it."""
    [error] = errors(tmp_path, MAIN + STREAMS, {VARIABLE: given})
    assert re.fullmatch(rf"c\.yml:1:1: shard: the environment variable {VARIABLE} {re.escape(why)}", error)


def test_a_part_of_the_quota_must_suffice(tmp_path: Path) -> None:
    """A quota that is too small once it is divided is an error: streams would be unknown all the time."""
    text = MAIN.replace("k}", "k, quota: {DescribeLiveStreamState: 0.5}}") + "streams: [{name: a, account: z}]\n"
    assert loaded(tmp_path, text).streams
    [error] = errors(tmp_path, f"{text}shard: {{index: 0, count: 100}}\n")
    why = "is too small: less than one call within scrape.max_age for each of 100 shards"
    assert error == f"c.yml:2:96: accounts[0].quota.DescribeLiveStreamState: {why}"
