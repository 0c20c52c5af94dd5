"""The world file: read strictly, every error at once with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.model import State
from exporter.simulator import WorldError, load_world, parse_world

from .asking import NOW, answer, zego_call

GOOD = """
seed: 7
accounts:
  - {name: z, provider: zego, app_id: 77, server_secret: secret, quota: {DescribeRTCStreamState: 5}}
  - {name: t, provider: tencent, secret_id: id, secret_key: key, denied: [DescribeBackupStreamList]}
streams:
  - {name: active, account: z}
  - name: changing
    account: t
    domain: push.example
    state: {cycle: [active, inactive], every: 1m, offset: 30s}
    figures: {frames: 50, width: 1920, moving: {cycle: [active, inactive], every: 10s}}
    inputs:
      - {domain: push.example, app: live}
      - {domain: push.example, app: spare, source: pull, up: {cycle: [active, forbidden]}}
faults:
  - {kind: code, provider: zego, code: "5001", count: 1}
quirks: {zego_data: missing}
listings:
  tencent: {foreign: 3}
"""


def test_a_world_file_makes_a_world() -> None:
    """Accounts, streams, scripts, inputs, faults, switches and tricks are as written."""
    world = parse_world(GOOD, clock=lambda: NOW)
    assert world.accounts["z"].fields == {"app_id": 77, "server_secret": "secret"}
    assert world.accounts["t"].denied == {"DescribeBackupStreamList"}
    changing = world.streams["tencent/changing"]
    assert changing.address == {"app": "live", "stream": "changing", "domain": "push.example"}
    assert (changing.script.every, changing.script.offset) == (60.0, 30.0)
    assert [(push.app, push.source) for push in changing.inputs] == [("live", "push"), ("spare", "pull")]
    figures = changing.figures
    assert (figures.frames, figures.width, figures.height, figures.is_moving(15)) == (50.0, 1920, 720, False)
    assert world.tricks("tencent").foreign == 3
    assert [answer(world, "zego", zego_call()).code for _ in range(2)] == ["5001", "0"]
    assert world.state("zego/active") is State.ACTIVE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("accounts: [", "w:1: is not YAML"),
        ("- x", "w:1: world: "),
        ("streams: []", "w:1: accounts: Field required"),
        ("accounts: []\nstreams:\n  - name: x\n", "w:3: streams[0].account: Field required"),
        ("accounts: []\nworlds: 1\n", "w:2: worlds: Extra inputs are not permitted"),
        ("accounts: []\naccounts: []\n", "w:2: accounts: stands twice"),
        ("accounts:\n  - {name: a, provider: twitch}\n", "w:2: accounts[0]: unknown provider twitch"),
        (
            "accounts:\n  - {name: a, provider: zego, app_id: 1, server_secret: s, secret: x}\n",
            "w:2: accounts[0]: account a: unknown field secret",
        ),
        ("accounts:\n  - {name: a, provider: zego, app_id: x, server_secret: s}\n", "app_id is not int"),
        ("accounts: []\nstreams:\n- name: x\n  account: y\n", "w:3: streams[0]: stream x: account y is unknown"),
        ("accounts: []\nstreams:\n- name: x\n  account: y\n  state: asleep\n", "w:5: streams[0].state"),
        ("accounts: []\nfaults:\n- kind: hangs\n", "w:3: faults[0]: unknown kind of fault hangs"),
        ("accounts: []\nfaults:\n- kind: hang\n  secs: 1\n", "w:4: faults[0].secs: Unexpected keyword argument"),
        ("accounts: []\nquirks:\n  zego_data: gone\n", "w:3: quirks.zego_data: "),
        ("accounts: []\nlistings:\n  zego:\n    foreign: many\n", "w:4: listings.zego.foreign: "),
        ("accounts: []\nlistings:\n  twitch: {}\n", "w:3: listings.twitch: unknown provider twitch"),
    ],
)
def test_each_mistake_is_told_with_its_line(text: str, expected: str) -> None:
    """A mistake is an error with file, line, path and words, not a world that is silently another."""
    with pytest.raises(WorldError) as caught:
        parse_world(text, name="w")
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "accounts:\n- {{name: a, provider: zego, app_id: 1, server_secret, {0}}}",
        "accounts:\n- {{name: a, provider: {0}}}",
        "accounts: []\nstreams: [{{name: x, account: {0}}}]",
        "accounts: []\nfaults: [{{kind: {0}}}]",
        "accounts: []\nlistings: {{{0}: {{}}}}",
        "{0}: 1\n{0}: 2",
        "accounts: []\n{0}: 1",
        "accounts: *{0}",
        "accounts: !{0} x",
        "accounts: '{0}",
    ],
)
def test_a_secret_out_of_place_is_not_repeated(text: str) -> None:
    """A world may be copied from a configuration: a secret in the wrong place is not in the error."""
    with pytest.raises(WorldError) as caught:
        parse_world(text.format("hunter0CANARYx"), name="w")
    assert "hunter0CANARYx" not in str(caught.value)


@pytest.mark.parametrize("number", ["01234567", "20:30:40", "0x1F", "0b1", "1_000"])
def test_odd_numbers_are_refused(number: str) -> None:
    """A number that YAML reads as octal, base 60 or otherwise is refused with its line."""
    with pytest.raises(WorldError, match=r"^w:2: accounts\[0\]\.app_id: .*, or quote it to make it text$"):
        parse_world(f"accounts:\n- {{name: a, provider: zego, server_secret: s, app_id: {number}}}\n", name="w")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("accounts: &all []\n", "w:1: accounts: anchors (&) are not read; remove it"),
        ("accounts: []\nstreams:\n- *one\n", "w:3: streams[0]: aliases (*) are not read; write the value out"),
        ("accounts: []\nstreams:\n- <<: {}\n", "w:3: streams[0]: merges (<<) are not read; write the keys out"),
        ("accounts: !!seq []\n", "w:1: accounts: tags (!) are not read; remove it"),
        ("accounts: []\n1: 2\n", "w:2: a key is not text; quote it"),
        ("accounts:\n- {name: a, provider: zego, self: 1}\n", "w:2: accounts[0]: "),
        ("[" * 5000, "is nested deeper than 64 levels"),
    ],
)
def test_what_a_world_has_no_need_of_is_refused(text: str, expected: str) -> None:
    """Anchors, aliases, merges, tags, keys that are no text and endless nesting are errors with their line."""
    with pytest.raises(WorldError) as caught:
        parse_world(text, name="w")
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    "text", ['accounts: [{name: "\\ud800", provider: zego}]', 'accounts: []\nlistings: {"\\ud800": {}}']
)
def test_half_a_character_is_refused(text: str) -> None:
    """A lone surrogate, which no terminal can show, is an error that can be shown."""
    with pytest.raises(WorldError, match="holds a character that is none") as caught:
        parse_world(text, name="w")
    assert str(caught.value).isprintable()


def test_a_date_is_text() -> None:
    """A value that looks like a date is a text like any other, and no crash."""
    with pytest.raises(WorldError, match="unknown kind of fault 2024-01-01"):
        parse_world("accounts: []\nfaults: [{kind: 2024-01-01}]\n", name="w")


def test_all_mistakes_are_told_at_once() -> None:
    """One run shows every error of a part, one line each."""
    text = "accounts: []\nstreams:\n- {name: x, account: y}\n- {name: z, account: y}\nfaults:\n- kind: hangs\n"
    with pytest.raises(WorldError) as caught:
        parse_world(text, name="w")
    assert [line.split(":")[1] for line in str(caught.value).splitlines()] == ["3", "4", "6"]


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """A missing file and one that is not UTF-8 are errors with the file's name and no traceback's worth of text."""
    with pytest.raises(WorldError, match="FileNotFoundError"):
        load_world(tmp_path / "none.yml")
    (tmp_path / "latin.yml").write_bytes(b"accounts: [] # \xff")
    with pytest.raises(WorldError, match="UnicodeDecodeError"):
        load_world(tmp_path / "latin.yml")
    (tmp_path / "good.yml").write_text(GOOD, encoding="utf-8")
    assert set(load_world(tmp_path / "good.yml").streams) == {"zego/active", "tencent/changing"}
