"""Awkward names, from the configuration to the exposition and back."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from exporter.config import Config, Scrape
from exporter.model import Stream
from exporter.providers import all_providers
from exporter.simulator import World
from tests.providers.facts import facts

from .cases import PROVIDERS
from .stage import ADDRESS, KEYS, PLENTY, Scraped, Stage, account, address_of

NAMES = (
    'quote " here', "back\\slash", "ends in a backslash\\", "line\nbreak", 'all\\of"it\n\\n', "\\n", "tab\there",
    "carriage\rreturn", "next\x85line", "line\u2028separator", "😀🎬", "直播间一号", "مباشر الآن", "a/b?c=d&e#f",
    "{braces}", 'name="value"}', "# HELP", "a,b", "  spaces  ", "%41", "x" * 256, "€" * 256, "\x7f\x01", "e\u0301",
    "NaN", "1.0", "\u202eright to left",
)  # fmt: skip


def awkward_world() -> tuple[World, list[Stream]]:
    """Return a world of plain addresses under awkward names, each name at each cloud; every third one has ended."""
    world, watched = World(), []
    for provider, keys in KEYS.items():
        kind, own = all_providers()[provider], facts()[provider].named_by
        world.add_account(provider, provider, quota=dict.fromkeys(kind.apis(), PLENTY), **keys)
        for number, name in enumerate(NAMES):
            plain = f"plain-{number}"
            address = address_of(provider, plain) | ({own: plain} if own else {})
            world.add_stream(f"plain-{number}", provider, state="active" if number % 3 else "inactive", **address)
            watched.append(kind.stream(name=name, account=provider, labels={"title": name[::-1]}, **address))
    return world, watched


@pytest.fixture(scope="module")
def scraped(stage: Stage) -> Scraped:
    """Scrape all awkward names once."""
    world, watched = awkward_world()
    config = Config(Scrape(reuse=0.0), tuple(stage.accounts()), tuple(watched), label_names=("title",))
    stage.simulator.world = world
    stage.service.configure(config)
    return stage.scrape()


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("number", range(len(NAMES)))
def test_a_name_comes_back_as_it_was_configured(scraped: Scraped, provider: str, number: int) -> None:
    """Quotes, backslashes, line breaks, emoji and any script pass both formats unharmed."""
    name = NAMES[number]
    assert scraped.value("stream_active", provider=provider, stream=name) == float(number % 3 > 0)
    info = {"provider": provider, "stream": name, "account": provider, "title": name[::-1]}
    assert scraped.value("stream_info", **info) == 1
    assert len(scraped.all("stream_state", provider=provider, stream=name)) == 5


def test_a_stream_may_be_addressed_by_an_awkward_name(stage: Stage) -> None:
    """Names that are addresses too reach each cloud signed and decoded as they were meant."""
    world, watched = World(), []
    for provider, keys in KEYS.items():
        kind, known = all_providers()[provider], facts()[provider]
        world.add_account(provider, provider, quota=dict.fromkeys(kind.apis(), PLENTY), **keys)
        for name in ("a@b._-",) if known.narrow else NAMES if known.named_by else ():
            world.add_stream(name, provider, **ADDRESS[provider])
            watched.append(kind.stream(name=name, account=provider, **ADDRESS[provider]))
    shown = stage.show(world, stage.accounts(), watched)
    wrong = [one for one in watched if shown.value("stream_active", provider=one.account, stream=one.name) != 1]
    assert wrong == []


def test_accounts_with_awkward_names_pass_too(stage: Stage) -> None:
    """The client library's half of the document escapes names as ours does."""
    world, _ = awkward_world()
    names = [name for name in NAMES if len(name) < 100]
    kind = all_providers()["zego"]
    accounts = [account("zego", stage.endpoint).model_copy(update={"name": name}) for name in names]
    watched = [kind.stream(name=f"s{n}", account=name, stream_id="plain-1") for n, name in enumerate(names)]
    shown = stage.show(world, accounts, watched)
    for name in names:
        assert shown.value("stream_streams", provider="zego", account=name) == 1


def test_promtool_finds_nothing_to_say(stage: Stage, scraped: Scraped) -> None:
    """Prometheus's own tool takes a document with all of this in it, failures included, without a remark."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    world, watched = awkward_world()
    world.fault("text", probability=0.3)
    world.fault("throttle", probability=0.1)
    config = Config(Scrape(reuse=0.0), tuple(stage.accounts()), tuple(watched), label_names=("title",))
    stage.simulator.world = world
    stage.service.configure(config)
    shown = stage.scrape()
    assert shown.all("stream_probe_errors_total")
    for document in (scraped.text, shown.text):
        checked = subprocess.run([promtool, "check", "metrics"], input=document, capture_output=True, check=False)
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
