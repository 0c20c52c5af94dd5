"""An action that answers both for one stream and for many: one limit, one pace, and each answer read as what it is."""

from __future__ import annotations

from collections import Counter
from urllib.parse import parse_qsl, urlsplit

from exporter.model import Reply, Request, State
from exporter.providers import all_providers
from tests.virtual import Network, account, always, prober, reply, run, scrape

ACTION, DOMAIN, RATE = "ListLiveStreamsOnline", "push.example", 10.0
HUAWEI = all_providers()["huawei"]
LIVE = [f"s{number:02d}" for number in range(20)]


def row(name: str) -> dict[str, str]:
    """Return a row of the list."""
    return {"publish_domain": DOMAIN, "app": "live", "stream": name}


async def cloud(_provider: str, request: Request) -> Reply:
    """List twenty streams, or look for one of them."""
    asked = dict(parse_qsl(urlsplit(request.url).query))
    names = [name for name in LIVE if asked.get("stream", name) == name]
    return await always(reply({"total_num": len(names), "request_id": "r", "streams": [row(name) for name in names]}))


def test_lists_and_single_calls_keep_one_quota() -> None:
    """The list and the calls that confirm who is absent are paced together, counted together, and all answered."""
    owner = account("huawei", plan="list", project_id="p", region="cn-north-4", quota={ACTION: RATE})
    names = [*LIVE, *(f"down{number:02d}" for number in range(20))]
    watched = [HUAWEI.stream(name=name, account="main", domain=DOMAIN, app="live") for name in names]

    async def main() -> tuple[Network, Counter[State], dict[str, float]]:
        network = Network(cloud)
        made = prober(network, [owner], watched)
        await scrape(made)
        states = Counter(record.answer.state for record in made.shared.board if record.answer is not None)
        return network, states, made.accounts["main"].allowed_rates()

    network, states, rates = run(main())
    assert states == {State.ACTIVE: 20, State.INACTIVE: 20}
    assert len(network.calls) == 1 + 20
    assert network.busiest_second() <= RATE
    assert rates == {ACTION: RATE}
