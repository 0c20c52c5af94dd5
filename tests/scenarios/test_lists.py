"""Lists that mislead: whatever a cloud's list says, no stream shows what is not so."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.model import State, Stream
from exporter.providers import all_providers
from exporter.simulator import Input, Tricks, World

from .stage import KEYS, PLENTY, Stage, account, one_hot, states

TRICKS: dict[str, dict[str, Any]] = {
    "honest": {},
    "somebody else's first": {"foreign": 2500},
    "each row three times": {"duplicates": 2},
    "pages that overlap": {"drift": 3},
    "pages with gaps": {"drift": -3},
    "the same page for ever": {"loop": True},
    "no rows but null": {"null": True},
    "total of nothing": {"total": 0},
    "total of a million": {"total": 1_000_000},
    "no pages": {"pages": 0},
    "a million pages": {"pages": 1_000_000},
    "a negative number of pages": {"pages": -1},
}
MORE_THAN_A_PAGE = {"tencent": 10_500, "alibaba": 3500, "huawei": 150}
FOREIGN = {"huawei": 250}
ADDRESS: dict[str, dict[str, Any]] = {
    "tencent": {"domain": "push.example"},
    "alibaba": {"domain": "push.example", "app": "live", "streaming_domain": "play.example"},
    "volcengine": {"room_id": "room"},
    "volcengine_live": {"domain": "push.example", "app": "live"},
    "ivs": {"channel_arn": "arn:aws:ivs:us-west-2:123456789012:channel/{name}"},
    "huawei": {"domain": "push.example", "app": "live"},
}
TRUTH = {f"live-{number}": State.ACTIVE for number in range(6)} | {
    "ended": State.INACTIVE,
    "banned": State.FORBIDDEN,
    "nobody": State.NOT_FOUND,
}
SHOWN: dict[str, dict[State, State]] = {
    "tencent": {State.NOT_FOUND: State.INACTIVE},
    "alibaba": {State.NOT_FOUND: State.INACTIVE},
    "volcengine": {State.FORBIDDEN: State.INACTIVE, State.NOT_FOUND: State.INACTIVE},
    "volcengine_live": {State.NOT_FOUND: State.INACTIVE},
    "ivs": {State.FORBIDDEN: State.INACTIVE},
    "huawei": {State.FORBIDDEN: State.INACTIVE, State.NOT_FOUND: State.INACTIVE},
}
LISTS = {
    "tencent": ("DescribeLiveStreamOnlineList", {}),
    "tencent, backup": ("DescribeBackupStreamList", {"region": "ap-guangzhou"}),
    "alibaba": ("DescribeLiveStreamsOnlineList", {}),
    "volcengine": ("GetRoomOnlineUsers", {}),
    "volcengine_live": ("DescribeLiveStreamInfoByPage", {}),
    "ivs": ("ListStreams", {}),
    "huawei": ("ListLiveStreamsOnline", {}),
}
MOST_PAGES = {"ivs": 27}  # of 100 rows each
NOT_SINGLY = ""  # the stream of a call that is about no single one, whatever its action


def crowd(provider: str) -> tuple[World, list[Stream]]:
    """Return a world of nine streams in one room or domain, and the same streams as watched."""
    world = World()
    quota = dict.fromkeys(all_providers()[provider].apis(), PLENTY)
    world.add_account(provider, provider, quota=quota, **KEYS[provider])
    for name, state in TRUTH.items():
        world.add_stream(name, provider, state=state, **address(provider, name))
    kind = all_providers()[provider].stream
    return world, [kind(name=name, account=provider, **address(provider, name)) for name in TRUTH]


def address(provider: str, name: str) -> dict[str, Any]:
    """Return the fields of a stream's address, with which it is listed."""
    return {field: value.format(name=name) for field, value in ADDRESS[provider].items()}


@pytest.mark.parametrize("which", LISTS)
@pytest.mark.parametrize("trick", TRICKS)
def test_a_list_that_misleads_changes_no_state(stage: Stage, which: str, trick: str) -> None:
    """Foreign rows, drift, loops, lies about totals and null lists cost calls, never the truth."""
    provider = which.partition(",")[0]
    action, fields = LISTS[which]
    world, watched = crowd(provider)
    more = {"foreign": MORE_THAN_A_PAGE.get(provider, 2500)} if "drift" in TRICKS[trick] else {}
    if "foreign" in TRICKS[trick]:
        more = {"foreign": FOREIGN.get(provider, 2500)}
    world.set_tricks(provider, Tricks(**{**TRICKS[trick], **more}))
    scraped = stage.show(world, [account(provider, stage.endpoint, plan="list", **fields)], watched)
    assert world.calls(action=action, stream=NOT_SINGLY)
    for name, state in TRUTH.items():
        assert states(scraped, provider, name) == one_hot(SHOWN[provider].get(state, state)), name
    assert not scraped.all("stream_probe_errors_total")
    assert len(world.calls(action=action, stream=NOT_SINGLY)) <= MOST_PAGES.get(provider, 4)


LIES: dict[str, dict[str, Any]] = {
    "rows are text": {"kind": "value", "value": "rows"},
    "rows are true": {"kind": "value", "value": True},
    "rows of numbers": {"kind": "value", "value": [1, 2]},
    "rows of rows": {"kind": "value", "value": [[{}]]},
    "rows without names": {"kind": "value", "value": [{}]},
    "another document": {"kind": "document", "value": [1]},
    "HTML": {"kind": "html"},
    "cut": {"kind": "cut"},
    "huge": {"kind": "bomb", "size": 17 << 20},
}


@pytest.mark.parametrize("which", LISTS)
@pytest.mark.parametrize("lie", LIES)
def test_a_broken_list_is_one_failed_call_and_the_streams_are_asked_singly(stage: Stage, which: str, lie: str) -> None:
    """A list that cannot be read costs itself: every stream still gets its answer in the same scrape."""
    provider = which.partition(",")[0]
    action, fields = LISTS[which]
    world, watched = crowd(provider)
    world.fault(action=action, stream=NOT_SINGLY, **LIES[lie])
    scraped = stage.show(world, [account(provider, stage.endpoint, plan="list", **fields)], watched)
    for name, state in TRUTH.items():
        assert states(scraped, provider, name) == one_hot(SHOWN[provider].get(state, state)), name
    assert sum(scraped.all("stream_probe_errors_total").values()) == 1
    assert scraped.value("stream_provider_up", provider=provider, account=provider) == 1


NOT_WHOLE: dict[str, tuple[str, Any]] = {
    "no list of visible users": ("Result.VisibleUserList", None),
    "no list of invisible users": ("Result.InvisibleUserList", None),
    "no visible users": ("Result.VisibleUserList", []),
    "somebody else": ("Result.VisibleUserList", ["x"]),
    "a user twice": ("Result.VisibleUserList", ["x"] * 6),
    "no total": ("Result.TotalUser", None),
    "another total": ("Result.TotalUser", 7),
    "no word on whether it exists": ("Result.RoomExists", None),
    "a room that does not exist": ("Result.RoomExists", False),
}
NOT_THIS_ROOM: dict[str, tuple[str, Any]] = {
    "another room": ("Result.RoomId", "other"),
    "another app": ("Result.AppId", "other"),
    "another Action": ("ResponseMetadata.Action", "GetUserStreamState"),
    "an error beside it": ("Error", {"Code": "InternalError"}),
    "a total that is text": ("Result.TotalUser", "6"),
}


@pytest.mark.parametrize("why", [*NOT_WHOLE, *NOT_THIS_ROOM])
def test_a_room_that_is_not_wholly_listed_settles_nobody(stage: Stage, why: str) -> None:
    """Unless a list of users and its total agree about this very room, each stream is asked singly."""
    world, watched = crowd("volcengine")
    path, value = (NOT_WHOLE | NOT_THIS_ROOM)[why]
    world.fault("value", action="GetRoomOnlineUsers", field=path, value=value)
    scraped = stage.show(world, [account("volcengine", stage.endpoint, plan="list")], watched)
    asked = {call.stream for call in world.log if call.action == "GetUserStreamState"}
    assert asked == {f"volcengine/{name}" for name in TRUTH}
    for name, state in TRUTH.items():
        assert states(scraped, "volcengine", name) == one_hot(SHOWN["volcengine"].get(state, state)), name
    assert sum(scraped.all("stream_probe_errors_total").values()) == (why in NOT_THIS_ROOM)


def test_a_room_that_is_wholly_listed_settles_who_is_absent(stage: Stage) -> None:
    """Who does not stand in a whole list publishes nothing, and costs no call."""
    world, watched = crowd("volcengine")
    scraped = stage.show(world, [account("volcengine", stage.endpoint, plan="list")], watched)
    asked = {call.stream for call in world.log if call.action == "GetUserStreamState"}
    assert "volcengine/nobody" not in asked
    assert states(scraped, "volcengine", "nobody") == one_hot(State.INACTIVE)


PAGES = {"tencent": "Response.TotalPage", "alibaba": "TotalPage", "huawei": "total_num"}


@pytest.mark.parametrize("provider", PAGES)
@pytest.mark.parametrize("pages", [True, "3", 1.5, None, 10**400, -(10**400)], ids=lambda one: str(one)[:5])
@pytest.mark.parametrize("plan", ["list", "auto"])
def test_no_number_of_pages_breaks_this_round_or_the_next(stage: Stage, provider: str, pages: Any, plan: str) -> None:
    """A number of pages that is none, or beyond all bounds, changes no state, and is forgotten with the list."""
    action, fields = LISTS[provider]
    world, watched = crowd(provider)
    fault = world.fault("value", action=action, stream=NOT_SINGLY, field=PAGES[provider], value=pages)
    stage.show(world, [account(provider, stage.endpoint, plan=plan, **fields)], watched)
    for _ in range(2):
        scraped = stage.scrape()
        world.clear(fault)
        for name, state in TRUTH.items():
            assert states(scraped, provider, name) == one_hot(SHOWN[provider].get(state, state)), name
        assert not any(("reason", "bug") in labels for labels in scraped.all("stream_probe_errors_total"))


def test_the_backup_list_tells_of_inputs(stage: Stage) -> None:
    """Inputs, the one that serves as master, what is expected, and since when: as Tencent's list says them."""
    world = World()
    world.add_account(
        "tencent", "tencent", quota=dict.fromkeys(all_providers()["tencent"].apis(), PLENTY), **KEYS["tencent"]
    )
    inputs = (Input("push.example", "live"), Input("push.example", "other", "pull"))
    world.add_stream("two", "tencent", domain="push.example", inputs=inputs)
    world.add_stream("gone", "tencent", domain="push.example", state=State.INACTIVE)
    kind = all_providers()["tencent"].stream
    watched = [kind(name=name, account="tencent", domain="push.example", inputs=2) for name in ("two", "gone")]
    fields = {"region": "ap-guangzhou", "plan": "auto"}
    scraped = stage.show(world, [account("tencent", stage.endpoint, **fields)], watched)
    two, gone = {"provider": "tencent", "stream": "two"}, {"provider": "tencent", "stream": "gone"}
    assert scraped.value("stream_inputs", **two) == 2
    assert scraped.value("stream_inputs", **gone) == 0
    assert scraped.value("stream_inputs_expected", **two) == scraped.value("stream_inputs_expected", **gone) == 2
    primary = {"domain": "push.example", "app": "live", "source": "push"}
    assert scraped.all("stream_primary_input_info", **two) == {frozenset(primary.items()): 1.0}
    assert not scraped.all("stream_primary_input_info", **gone)
    assert scraped.value("stream_start_timestamp_seconds", **two) is not None


# --- whose inputs, and whose row --------------------------------------------------------------------------------------

OWN = Input("push.example", "live")
INPUTS: dict[str, tuple[tuple[Input, ...], float]] = {
    "primary and backup": ((OWN, OWN), 2),
    "backup under another app": ((OWN, Input("push.example", "spare", "pull")), 2),
    "another domain": ((OWN, Input("spare.example", "live")), 1),
    "another host group": ((OWN, Input("push.example", "live", group="west")), 1),
    "another app alone": ((Input("push.example", "spare"),), 0),
    "another domain alone": ((Input("spare.example", "live"),), 0),
    "nothing but what went": ((Input("push.example", "live", up=False),), 0),
}


def watched_input(stage: Stage, inputs: tuple[Input, ...], **fields: Any) -> tuple[World, list[Stream], Any]:
    """Return a world of one live Tencent stream with these inputs, the stream as watched, and the account."""
    world = World()
    quota = dict.fromkeys(all_providers()["tencent"].apis(), PLENTY)
    world.add_account("tencent", "tencent", quota=quota, **KEYS["tencent"])
    world.add_stream("one", "tencent", domain="push.example", inputs=inputs)
    watched = [all_providers()["tencent"].stream(name="one", account="tencent", domain="push.example", inputs=2)]
    return world, watched, account("tencent", stage.endpoint, region="ap-guangzhou", plan="auto", **fields)


@pytest.mark.parametrize("which", INPUTS)
def test_inputs_are_those_of_the_stream_itself(stage: Stage, which: str) -> None:
    """Own domain and group count; a push elsewhere is another stream's, and lost redundancy shows as 0."""
    inputs, count = INPUTS[which]
    world, watched, owner = watched_input(stage, inputs)
    scraped = stage.show(world, [owner], watched)
    assert scraped.value("stream_active", provider="tencent", stream="one") == 1
    assert scraped.value("stream_inputs", provider="tencent", stream="one") == count


def test_inputs_are_unknown_while_their_list_fails(stage: Stage) -> None:
    """Without the list nobody knows of inputs: the sample is absent, neither 0 nor what it was."""
    world, watched, owner = watched_input(stage, (OWN, OWN))
    assert stage.show(world, [owner], watched).value("stream_inputs", provider="tencent", stream="one") == 2
    fault = world.fault("html", action="DescribeBackupStreamList")
    scraped = stage.scrape()
    assert scraped.value("stream_active", provider="tencent", stream="one") == 1
    assert scraped.value("stream_inputs", provider="tencent", stream="one") is None
    world.clear(fault)
    world.fault("missing", action="DescribeBackupStreamList", field="Response.StreamInfoList")
    assert stage.scrape().value("stream_inputs", provider="tencent", stream="one") is None


def twins() -> tuple[World, list[Stream]]:
    """Return a world where one name is live at one ingest domain of three, and the same three streams as watched."""
    world = World()
    world.add_account(
        "alibaba", "alibaba", quota=dict.fromkeys(all_providers()["alibaba"].apis(), PLENTY), **KEYS["alibaba"]
    )
    watched = []
    for name in ("a", "b", "c"):
        address: dict[str, Any] = {
            "domain": f"{name}.example",
            "app": "live",
            "stream": "show",
            "streaming_domain": "play.example",
        }
        world.add_stream(name, "alibaba", state="active" if name == "b" else "inactive", **address)
        watched.append(all_providers()["alibaba"].stream(name=name, account="alibaba", **address))
    return world, watched


@pytest.mark.parametrize("told", [True, False])
def test_one_name_at_several_ingest_domains_is_several_streams(stage: Stage, told: bool) -> None:
    """The list tells them apart by PublishDomain; where it names none, every one of them is asked singly."""
    world, watched = twins()
    world.quirks.alibaba_publish_domain = told
    scraped = stage.show(world, [account("alibaba", stage.endpoint, plan="list")], watched)
    for name in ("a", "b", "c"):
        assert scraped.value("stream_active", provider="alibaba", stream=name) == float(name == "b")
    single = [call.stream for call in world.calls(action="DescribeLiveStreamState")]
    assert sorted(single) == [f"alibaba/{name}" for name in ("ac" if told else "abc")]


def test_a_stream_of_the_streaming_domain_is_live_at_any_ingest_domain(stage: Stage) -> None:
    """A stream that is named by its streaming domain is settled by the list, wherever it is pushed to."""
    world, _ = twins()
    whole = all_providers()["alibaba"].stream(
        name="whole",
        account="alibaba",
        domain="play.example",
        app="live",
        stream="show",
        streaming_domain="play.example",
    )
    scraped = stage.show(world, [account("alibaba", stage.endpoint, plan="list")], [whole])
    assert scraped.value("stream_active", provider="alibaba", stream="whole") == 1
    assert not world.calls(action="DescribeLiveStreamState")


ROW = {"DomainName": "play.example", "AppName": "live", "StreamName": "dead", "PublishDomain": "push.example"}
STRANGERS: dict[str, dict[str, Any]] = {
    "another streaming domain": {"DomainName": "other.example"},
    "the ingest domain for the streaming domain": {"DomainName": "push.example", "PublishDomain": None},
    "no streaming domain": {"DomainName": None},
    "another ingest domain": {"PublishDomain": "spare.example"},
    "no ingest domain": {"PublishDomain": None},
    "another app": {"AppName": "radio"},
    "another name": {"StreamName": "DEAD"},
}


@pytest.mark.parametrize("which", STRANGERS)
def test_the_row_of_another_stream_makes_none_live(stage: Stage, which: str) -> None:
    """A row counts only for the stream that it names whole: streaming domain, ingest domain, app and name."""
    world = World()
    world.add_account(
        "alibaba", "alibaba", quota=dict.fromkeys(all_providers()["alibaba"].apis(), PLENTY), **KEYS["alibaba"]
    )
    address: dict[str, Any] = {"domain": "push.example", "app": "live", "streaming_domain": "play.example"}
    world.add_stream("dead", "alibaba", state=State.INACTIVE, **address)
    rows = {"LiveStreamOnlineInfo": [ROW | STRANGERS[which]]}
    fault = world.fault("value", action="DescribeLiveStreamsOnlineList", field="OnlineInfo", value=rows)
    watched = [all_providers()["alibaba"].stream(name="dead", account="alibaba", **address)]
    scraped = stage.show(world, [account("alibaba", stage.endpoint, plan="list")], watched)
    assert fault.hits == 1
    assert scraped.value("stream_active", provider="alibaba", stream="dead") == 0
    rows["LiveStreamOnlineInfo"] = [ROW]
    assert stage.scrape().value("stream_active", provider="alibaba", stream="dead") == 1
