"""Alibaba's part of the demo."""

from exporter.simulator.types import DemoAccount, DemoStreams

_LISTED = {"domain": "push.shop.example", "app": "shop", "streaming_domain": "live.shop.example"}
_SINGLE, _OLD = {"domain": "push.school.example", "app": "class"}, {"domain": "push.old.example", "app": "live"}
DEMO = (
    DemoAccount(
        "alibaba-main",
        {
            "access_key_id": "demo-alibaba-id",
            "access_key_secret": "demo-alibaba-key",
            "callback_key": "demo-alibaba-main-callbacks",
        },
        (
            DemoStreams("shop", "gold", {"shop-1": "A", "shop-2": "AI"}, _LISTED),
            DemoStreams("shop", "silver", {"shop-3": "IAI", "shop-4": "I"}, _LISTED),
            DemoStreams("school", "gold", {"class-1": "A"}, _SINGLE, {"ingest": "pull"}),
            DemoStreams("school", "gold", {"class-2": "AAI"}, _SINGLE),
            DemoStreams("school", "silver", {"class-3": "F", "class-4": "IA"}, _SINGLE),
        ),
    ),
    DemoAccount(
        "alibaba-old",
        {"access_key_id": "demo-alibaba-old-id", "access_key_secret": "demo-alibaba-old-key"},
        (DemoStreams("shop", "silver", {"old-1": "A", "old-2": "A"}, _OLD),),
        configured={"access_key_secret": "demo-alibaba-old-key-before-its-rotation"},
    ),
)
