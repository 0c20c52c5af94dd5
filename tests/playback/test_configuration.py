"""The addresses of viewers in a configuration: what is read and what is refused, and that no secret is shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.addresses import USUAL_PLAYBACK, PlaybackAddress, PlaybackSettings
from exporter.commands import traffic
from exporter.commands.warnings import MOST_SHARED, readable_secrets, warnings
from exporter.config import Config, ConfigErrors, load, redacted_slices
from exporter.fields import Secret
from exporter.providers import all_providers
from exporter.replicas.entries import mark_of
from exporter.state.board import address
from tests.commands.running import run

PROVIDERS = all_providers()
CANARY = "Zx9canary0canary1canary2"
ACCOUNT = {"name": "t", "provider": "tencent", "secret_id_env": "ID", "secret_key_env": "KEY"}
ENVIRON = {"ID": "made-up-id", "KEY": "made-up-key"}
M3U8 = "https://play.example.com/live/a.m3u8"


def stream(*playback: Any, **fields: Any) -> dict[str, Any]:
    """Return a stream of a configuration."""
    named = {} if "names" in fields else {"name": "a"}
    return {**named, "account": "t", "domain": "d.example.com", "playback": list(playback), **fields}


def loaded(
    *streams: dict[str, Any],
    files: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    **top: Any,
) -> Config:
    """Load a configuration of these streams, as if it stood beside these files."""
    text = json.dumps({"accounts": [ACCOUNT], "streams": list(streams), **top}, ensure_ascii=False)
    contents = {Path("/etc/x") / name: held.encode() for name, held in {"c.yml": text, **(files or {})}.items()}

    def read(path: Path) -> bytes:
        if path not in contents:
            raise FileNotFoundError(2, "No such file or directory")
        return contents[path]

    return load(Path("/etc/x/c.yml"), PROVIDERS, {**ENVIRON, **(environ or {})}, read, whole=True)


def refused(*streams: dict[str, Any], **more: Any) -> str:
    """Return the errors of a configuration."""
    with pytest.raises(ConfigErrors) as caught:
        loaded(*streams, **more)
    return str(caught.value)


def only(*playback: Any, **more: Any) -> PlaybackAddress:
    """Return the first address of a stream."""
    return loaded(stream(*playback), **more).streams[0].playback[0]


def page(config: Config) -> Any:
    """Return /config, read back."""
    return yaml.safe_load("".join(redacted_slices(config)))


# --- what is read ----------------------------------------------------------------------------------------------------


def test_an_address_is_its_url_and_what_is_said_of_it() -> None:
    """A text is a URL; a mapping says more. The one is shown without its query, and may lead to the other's host."""
    first, second = loaded(
        stream(
            "HTTPS://Play.example.com:443/live/直播 .m3u8?token=é".replace(" ", ""),
            {
                "url": "http://[2001:DB8::1]:8080/a.flv",
                "name": "flv",
                "interval": "1m",
                "variant": "720p.m3u8",
                "origins": ["https://cdn.example.com/"],
                "private": True,
                "alibaba_key": CANARY,
            },
        )
    ).streams[0].playback  # fmt: skip
    play, flv = "https://play.example.com", "http://[2001:db8::1]:8080"
    path = "/live/%E7%9B%B4%E6%92%AD.m3u8"
    assert first == PlaybackAddress("playback-1", Secret(f"{play}{path}?token=%C3%A9"), play + path, (play, flv))
    assert second == PlaybackAddress(
        "flv", Secret(f"{flv}/a.flv"), f"{flv}/a.flv", (flv, play, "https://cdn.example.com"),
        "alibaba", Secret(CANARY), "720p.m3u8", 60.0, private=True,
    )  # fmt: skip


def test_how_addresses_are_checked() -> None:
    """The top says it for all; without it the documented values count."""
    said = {"interval": "1h", "timeout": "500ms", "concurrency": 1, "rate": 10000}
    assert loaded(stream(M3U8), playback=said).playback == PlaybackSettings(3600.0, 0.5, 1, 10000.0)
    assert loaded(stream(M3U8)).playback == USUAL_PLAYBACK == PlaybackSettings(15.0, 5.0, 32, 250.0)


def test_a_secret_from_a_file_or_a_variable() -> None:
    """URL and key may stand elsewhere: files are beside the configuration and watched, and only the host is shown."""
    config = loaded(
        stream({"url_file": "urls/a", "tencent_key_env": "PULL"}, {"url_env": "URL"}),
        files={"urls/a": f"{M3U8}?token={CANARY}\n"},
        environ={"PULL": CANARY, "URL": f"http://cdn.example.com/{CANARY}.flv"},
    )
    first, second = config.streams[0].playback
    assert (first.url.reveal(), first.shown) == (f"{M3U8}?token={CANARY}", "https://play.example.com")
    assert (first.signed, first.key) == ("tencent", Secret(CANARY))
    assert second.shown == "http://cdn.example.com"
    assert Path("/etc/x/urls/a") in config.files
    assert CANARY not in repr(config)


def test_the_name_in_an_address() -> None:
    """`{stream}` is the name, percent-encoded, in the long form and in the short one; without it names share one."""
    config = loaded(
        stream("https://h/{stream}.m3u8?id={stream}", name="ä/b"),
        stream("https://h/{stream}.m3u8", {"url_env": "URL"}, "https://h/same.flv", names=["c", "d e"]),
        environ={"URL": "https://g/{stream}"},
    )
    urls = [[each.url.reveal() for each in one.playback] for one in config.streams]
    assert urls == [
        ["https://h/%C3%A4%2Fb.m3u8?id=%C3%A4%2Fb"],
        ["https://h/c.m3u8", "https://g/c", "https://h/same.flv"],
        ["https://h/d%20e.m3u8", "https://g/d%20e", "https://h/same.flv"],
    ]
    assert config.streams[2].playback[0].shown == "https://h/d%20e.m3u8"
    (warning,) = config.warnings
    assert warning.path == "streams[1].playback[2]"
    assert warning.message == "is one address for all names of this entry: write {stream} where the name belongs"
    assert not loaded(stream("https://h/same.flv", names=["c"])).warnings


def test_a_column_of_addresses(tmp_path: Path) -> None:
    """In CSV a cell holds URLs with blanks between; what is wrong with one has the line and the column of the cell."""
    (tmp_path / "c.yml").write_text(yaml.safe_dump({"accounts": [ACCOUNT], "stream_files": ["s.csv"]}))
    table = tmp_path / "s.csv"
    table.write_text("name,account,domain,playback\na,t,d,https://h/{stream}.flv  https://h/b.flv\nb,t,d,\n")
    first, second = load(tmp_path / "c.yml", PROVIDERS, ENVIRON).streams
    assert [each.url.reveal() for each in first.playback] == ["https://h/a.flv", "https://h/b.flv"]
    assert second.playback == ()
    table.write_text(f"name,account,domain,playback\na,t,d,https://h/b.flv rtmp://h/{CANARY}\n")
    with pytest.raises(ConfigErrors) as caught:
        load(tmp_path / "c.yml", PROVIDERS, ENVIRON)
    assert str(caught.value).startswith(f"{table}:2:7: [0].playback[1]: names a protocol")
    assert CANARY not in str(caught.value)


def test_secrets_in_a_file_of_streams(tmp_path: Path) -> None:
    """Who may read a file of streams is warned of where its addresses hold a token, and not where they hold none."""
    main = tmp_path / "c.yml"
    main.write_text(yaml.safe_dump({"accounts": [ACCOUNT], "stream_files": ["*.json"]}))
    (tmp_path / "a.json").write_text(json.dumps([stream(f"{M3U8}?e={CANARY}"), stream(f"{M3U8}?sign=x", name="b")]))
    (tmp_path / "b.json").write_text(json.dumps([stream(f"{M3U8}?only-audio=1", f"{M3U8}?id={{stream}}", name="c")]))
    (tmp_path / "b.json").chmod(0o644)
    (tmp_path / "a.json").chmod(0o644)
    found = load(main, PROVIDERS, ENVIRON)
    (warning,) = readable_secrets(found, main)
    assert warning.startswith(f"{tmp_path / 'a.json'} holds the secrets of [0].playback[0] and another address and may")
    assert warning.endswith("or give them as FIELD_file or FIELD_env; an address as url_file or url_env")
    assert not list(readable_secrets(found, main, lambda _file: False))
    (tmp_path / "a.json").chmod(0o600)
    assert not list(readable_secrets(found, main))


def test_a_variable_is_told_of_once() -> None:
    """What is not filled in gets one hint, for an address the key that would read it; other keys get theirs too."""
    told = refused(stream("${PLAY_URL}", {"url": "$(PLAY_URL)"}), playback={"interval": "${EVERY}"})
    lines = told.splitlines()
    assert [line.count("looks like a variable") for line in lines] == [1, 1, 1]
    assert ": playback.interval: " in lines[2]
    assert all(line.endswith("use url_env: PLAY_URL") for line in lines[:2])


def test_names_are_the_only_ones_of_their_stream() -> None:
    """A name that another address has, by default too, is refused; other streams may have the same."""
    told = refused(stream(M3U8, {"url": f"{M3U8}2", "name": "playback-1"}), stream(M3U8, name="b"))
    assert told.endswith("named 'playback-1' already, first at /etc/x/c.yml:1")
    assert "\n" not in told
    config = loaded(stream({"url": M3U8, "name": "playback-2"}), stream(M3U8, name="b"))
    assert [one.playback[0].name for one in config.streams] == ["playback-2", "playback-1"]
    assert "playback-2" in refused(stream({"url": M3U8, "name": "playback-2"}, M3U8))


def test_sixteen_addresses_are_enough() -> None:
    """A stream has at most sixteen."""
    urls = [f"https://h/{number}.flv" for number in range(17)]
    assert len(loaded(stream(*urls[:16])).streams[0].playback) == 16
    assert refused(stream(*urls)).endswith("streams[0].playback: has more than 16 entries")


def test_what_is_likely_not_meant() -> None:
    """The same address twice, an old signature beside a key, and what looks like a variable are worth a warning."""
    config = loaded(stream(M3U8, M3U8, {"url": f"{M3U8}?txTime=1&x=1", "tencent_key": "k"}, f"{M3U8}?x=$PLAY_TOKEN"))
    assert [(one.path, one.message) for one in config.warnings] == [
        ("streams[0].playback[1]", "is checked twice: another address of this stream is the same"),
        ("streams[0].playback[2].url", "holds a signature already (txtime), which tencent_key replaces"),
        ("streams[0].playback[3]", "looks like a variable, and none is filled in here: write the value itself"),
    ]


ONLY = ", and only HLS and HTTP-FLV are checked"


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (M3U8.replace("m3u8", "mpd") + "?m3u8", f": ends in .mpd like MPEG-DASH{ONLY}"),
        ("https://h/rtc/v1/WHEP/?app=live", f": ends in /whep like WebRTC{ONLY}"),
        ({"url": "https://h/a.ts", "variant": "b"}, f".url: ends in .ts like a segment{ONLY}"),
        ({"url_env": "URL"}, f".url_env: names a variable whose value ends in .mp4 like a file{ONLY}"),
        ({"url": "https://h/a.FLV?x=1", "variant": "b"},
         ".variant: is of no use: the address ends in .flv, and FLV has no variants"),
        ({"url": M3U8, "origins": ["https://h", "HTTPS://play.example.com:443/"]},
         ".origins[1]: is the origin of the address itself, which is asked anyway"),
        ({"url": M3U8, "origins": ["https://h", "https://h/"]}, ".origins[1]: stands there twice"),
        ({"url": M3U8, "name": "{stream}-hd"}, ".name: has {stream}, which is not filled in here"),
    ],
    ids=str,
)  # fmt: skip
def test_what_changes_nothing_and_what_is_not_checked(entry: Any, told: str) -> None:
    """What can only be a mistake is told of at its key; an address by its path, wherever it stands."""
    config = loaded(stream(entry), environ={"URL": f"https://h/{CANARY}.mp4"})
    assert [f"{one.path}: {one.message}" for one in config.warnings] == [f"streams[0].playback[0]{told}"]


def test_what_is_worth_no_warning() -> None:
    """Any address may be HLS or FLV, one may be signed with two keys to try both, and a list may be empty."""
    config = loaded(
        stream("https://h/live.php?id=a.mpd", "https://h/mpd/a", "https://h/a.m3u", "https://h/a"),
        stream(*({"url": M3U8, "tencent_key": key} for key in ("one", "two")), M3U8, name="b"),
        stream(name="c"),
    )
    assert not config.warnings


def doubts(*streams: dict[str, Any], **top: Any) -> list[str]:
    """Return what `check` warns of, beyond what has a place."""
    return list(warnings(loaded(*streams, **top), Path("/etc/x/c.yml"), PROVIDERS, ENVIRON))


def test_an_address_of_several_streams() -> None:
    """A copied address is told of with all its streams and without its query, unless a group says that it is meant."""
    two = [stream(f"{M3U8}?token={CANARY}"), stream("https://h/b.flv", f"{M3U8}?token={CANARY}", name="b")]
    group = "give each its own or, if viewers take them for one stream, all the same label group"
    assert doubts(*two) == [f"streams tencent/a and tencent/b have one playback address, {M3U8}: {group}"]
    assert doubts(*({**one, "labels": {"group": "final"}} for one in two)) == []
    assert len(doubts(two[0], {**two[1], "labels": {"group": "final"}})) == 1
    assert doubts(stream("https://h/{stream}.flv", "https://h/same.flv", names=["c", "d"])) == []
    filled = stream("https://h/{stream}.flv", names=["b", "c"]), stream("https://h/b.flv")
    assert "tencent/b and tencent/a have one playback address, https://h/b.flv" in doubts(*filled)[0]
    many = [f"n{number}" for number in range(MOST_SHARED + 5)]
    *_, last = doubts(stream("https://h/{stream}", names=many), *(stream(f"https://h/{n}", name=f"{n}b") for n in many))
    assert last == "5 more playback addresses are those of several streams"


@pytest.mark.parametrize(
    ("account", "host", "told"),
    [
        ({}, "LIVE.tencentcloudapi.com", True),
        ({"endpoint": "https://live.intl.tencentcloudapi.com"}, "live.intl.tencentcloudapi.com", True),
        ({"endpoint": "https://gate.example.com"}, "gate.example.com", False),
        ({"provider": "srs", "endpoint": "http://srs.example.com:1985"}, "srs.example.com", False),
    ],
)
def test_an_address_at_the_api_of_a_cloud(account: dict[str, Any], host: str, told: bool) -> None:
    """No viewer is served there; but a server of one's own, or a gateway, may well serve both."""
    owner = {**(ACCOUNT if "provider" not in account else {}), "name": "t", **account}
    one = {"name": "a", "account": "t", "playback": [f"http://{host}/live/a.m3u8"]}
    found = doubts(one if "provider" in account else {**one, "domain": "d.example.com"}, accounts=[owner])
    wanted = "is the API of account t, which no viewer uses: replace the playback address of stream tencent/a"
    assert [text for text in found if "viewer" in text] == ([f"{host.lower()} {wanted}"] if told else [])


def test_settings_without_addresses() -> None:
    """How addresses are checked says nothing while no stream has any, and that is told."""
    said = "playback says how addresses are checked, but no stream has any: list them under playback of the stream"
    assert doubts(stream(), playback={"interval": "30s"}) == [said]
    assert doubts(stream(M3U8), playback={"interval": "30s"}) == doubts(stream(), playback={}) == []


@pytest.mark.parametrize("scheme", ["rtmp", "rtsps", "srt", "webrtc", "whep", "artc", "udp", "ftp", "wss"])
def test_other_protocols_are_told_what_is_checked(scheme: str) -> None:
    """Whatever scheme an address has, its refusal says what is checked; nor does a variant have a placeholder."""
    wanted = "names a protocol that is not checked here; give HLS or HTTP-FLV, which begin with https:// or http://"
    assert refused(stream(f"{scheme}://h/a")).endswith(f": {wanted}")
    told = refused(stream({"url": M3U8, "variant": "{stream}_720p.m3u8"}))
    assert told.endswith("has {stream}, which is not filled in here; what follows it will do, such as _720p.m3u8")


# --- what is shown ---------------------------------------------------------------------------------------------------


def test_what_a_file_holds_is_not_repeated_where_it_is_wrong() -> None:
    """A wrong URL out of a file or a variable is told of at its key, in words that hold nothing of it."""
    told = refused(
        stream({"url_file": "a"}, {"url_env": "URL"}, {"url_file": "b"}, {"url": M3U8, "alibaba_key_file": "c"}),
        files={"a": f"rtmp://{CANARY}", "b": f"https://h/\n{CANARY}"},
        environ={"URL": f"https://u:{CANARY}@h/x"},
    )
    assert CANARY not in told
    lines = [line.partition(": streams[0].playback")[2] for line in told.splitlines()]
    assert [line.partition(", ")[0].partition(";")[0] for line in lines] == [
        "[0].url_file: names a file whose content names a protocol that is not checked here",
        "[1].url_env: names a variable whose value has a user before its @",
        "[2].url_file: holds a line break or a control character",
        "[3].alibaba_key_file: names a file that cannot be read: No such file or directory",
    ]


def test_the_page_shows_addresses_without_their_secrets() -> None:
    """/config has each address without its query, files and variables by name, and keys as <secret>."""
    config = loaded(
        stream(
            f"{M3U8}?token={CANARY}",
            {"url": f"https://h/auth_key={CANARY}/a.flv", "private": False, "tencent_key": CANARY},
            {"url_file": "a", "name": "flv", "interval": "30s", "origins": ["https://g"]},
        ),
        files={"a": f"https://h/{CANARY}"},
        playback={"rate": 0.5},
    )
    shown = page(config)
    assert CANARY not in repr(shown) + repr(config)
    assert shown["playback"] == {"interval": "15s", "timeout": "5s", "concurrency": 32, "rate": 0.5}
    assert shown["streams"][0]["playback"] == [
        {"name": "playback-1", "url": f"{M3U8}?<secret>"},
        {"name": "playback-2", "url": "https://h", "private": False, "tencent_key": "<secret>"},
        {"name": "flv", "interval": "30s", "origins": ["https://g"], "url_file": "/etc/x/a"},
    ]


@pytest.mark.parametrize(
    "entry",
    [
        f"{M3U8}?token={CANARY}",
        f"{M3U8}?{CANARY}",
        {"url": M3U8, "tencent_key": CANARY},
        {"url_file": "a"},
        {"url": M3U8, "alibaba_key_env": "HIDDEN"},
    ],
    ids=str,
)
def test_no_secret_is_shown_by_check(tmp_path: Path, entry: Any) -> None:
    """Neither the table nor JSON shows what an address holds; who may read the file is warned of."""
    (tmp_path / "a").write_text(f"{M3U8}?token={CANARY}\n")
    file = tmp_path / "c.yml"
    file.write_text(yaml.safe_dump({"accounts": [ACCOUNT], "streams": [stream(entry)], "playback": {"rate": 0.1}}))
    file.chmod(0o644)
    environ = {**ENVIRON, "HIDDEN": CANARY}
    for form in ("table", "json"):
        done = run("check", str(file), "--output", form, environ=environ)
        assert done.code == 0
        assert CANARY not in done.all
        assert "more than playback.rate (0.1)" in done.all
        plain = "holds the secrets of streams[0].playback[0] and may be read by others" in done.all
        assert plain is (CANARY in str(entry) and "?Zx9" not in str(entry))


def test_a_stream_is_shown_without_its_addresses() -> None:
    """Neither the text of a stream nor its JSON holds an address: the one hides it, the other is refused."""
    one = loaded(stream({"url": f"{M3U8}?token={CANARY}", "alibaba_key": CANARY})).streams[0]
    assert CANARY not in repr(one) + str(one)
    with pytest.raises(ValueError, match="serialize") as refused_once:
        one.model_dump_json()
    with pytest.raises(TypeError) as refused_again:
        json.dumps(one.model_dump())
    assert CANARY not in str(refused_once.value) + str(refused_again.value)


def test_other_addresses_make_no_other_stream() -> None:
    """What is known of a stream, and what replicas tell of it, outlives a change of its addresses."""
    before, after = (loaded(stream(*urls)).streams[0] for urls in ((), (M3U8, f"{M3U8}?x=1")))
    assert before != after
    assert address(before) == address(after)
    assert mark_of(before) == mark_of(after)


TEXTS = st.text(min_size=1, max_size=30) | st.sampled_from(
    ["https://", "https://h/", "http://h:80?", "rtmp:", "{", "@"]
)


@given(before=TEXTS, after=TEXTS, tail=st.text(max_size=10))
@example("https://h/x?a=", "{stream}", "")
@example("https://h[", "]", "")
@example("https://", "@h", ":x")
@example("//\u2100", "", "")
def test_any_text_for_an_address(before: str, after: str, tail: str) -> None:
    """Whatever stands there, in the configuration or in a file, is read or refused, and never repeated."""
    text = f"{before}{CANARY}{after}{tail}"
    for entry in (text, {"url": text, "tencent_key": text}, {"url_file": "a"}, {"url": M3U8, "origins": [text]}):
        try:
            config = loaded(stream(entry), files={"a": text})
        except ConfigErrors as error:
            told = str(error)
        else:
            told = "\n".join(map(str, config.warnings))
            found = config.streams[0].playback[0]
            assert found.url.reveal().partition("?")[0].startswith(found.shown)
        assert CANARY not in told


# --- what it costs ---------------------------------------------------------------------------------------------------


def costs(*streams: dict[str, Any], **top: Any) -> tuple[list[traffic.Traffic], list[str]]:
    """Return what checks cost, account by account, and what is warned of."""
    config = loaded(*streams, **top)
    found, together = traffic.traffic(config)
    return found, list(traffic.warnings(config, found, together))


def test_what_checks_cost() -> None:
    """Requests go to the busiest host, bytes are those of a day; a playlist may be a master with three variants."""
    ((one,), told) = costs(
        stream(*(f"https://h/{number}.m3u8" for number in range(3)), {"url": "https://g/a.flv", "interval": "1m"}),
        stream({"url": "https://g/b.m3u8", "variant": "720p.m3u8"}, name="b"),
    )
    assert not told
    shown = one.as_object()
    assert (shown["addresses"], shown["interval_seconds"], shown["busiest_host"]) == (5, [15.0, 60.0], "https://h")
    assert shown["requests_per_second"] == [pytest.approx(3 * 2 / 15), pytest.approx(3 * 7 / 15, abs=1e-6)]
    least = 86400 * ((3 * 8192 + 8192 + 3584) / 15 + (262144 + 512) / 60)
    assert shown["bytes_per_day"] == [round(least), round(least + 86400 * 3 * (3584 + 2 * 8192) / 15)]
    assert traffic.rows([one]) == [["t", "5", "15s … 1m", "588 MB … 933 MB", "0.4 … 1.4", "https://h"]]
    assert not costs(stream())[0]


def test_what_does_not_fit_together() -> None:
    """A rate, a concurrency and a timeout that the addresses do not fit into are warned of, and many bytes a day."""
    names = [f"s{number}" for number in range(500)]
    _, told = costs(
        stream("https://h/{stream}.flv", names=names), playback={"interval": "5s", "timeout": "6s", "rate": 90}
    )
    slow, rate, concurrency, much = told
    assert slow.startswith("playback.timeout (6s) is above the interval of 500 addresses (5s)")
    assert rate.startswith("checks of 500 addresses at https://h need 100 requests/s, more than playback.rate (90)")
    assert concurrency.startswith("110 checks of 500 addresses at https://h would be under way at once")
    assert concurrency.endswith("so they are made 3.4 times less often: raise it, or playback.interval")
    assert much.startswith("checks of the addresses of account t receive about 2.3 TB a day: raise playback.interval")
    _, told = costs(stream("https://h/{stream}.m3u8", names=names), playback={"rate": 5})
    assert told[0].endswith("13 times less often, later than their outcomes count (2m): raise it, or playback.interval")
    spread = [stream(f"https://h{number}/{{stream}}.flv", names=[f"s{number}-{each}" for each in range(10)])
              for number in range(120)]  # fmt: skip
    _, told = costs(*spread, playback={"interval": "5s"})
    assert told[0].startswith("264 checks would be under way at once, more than the 256 that an exporter makes")


def test_shards_and_replicas() -> None:
    """A shard asks a host for its own streams only; replicas check for themselves, and what all receive is added."""
    streams = stream("https://h/{stream}.m3u8", names=[f"s{number}" for number in range(100)])
    (alone,), _ = costs(streams)
    (shards,), _ = costs(streams, shard={"index": 0, "count": 2})
    (pair,), _ = costs(streams, store={"url": "redis://cache", "replicas": 2})
    assert len(alone.there.intervals) == 100
    assert 50 <= len(shards.there.intervals) < 80
    assert (shards.bytes_a_day, shards.whole.least) == (alone.bytes_a_day, alone.whole.least)
    assert pair.bytes_a_day == (2 * alone.bytes_a_day[0], 2 * alone.bytes_a_day[1])
    assert "Each of 2 replicas" in traffic.footnote([pair])
    assert "replicas" not in traffic.footnote([alone])
