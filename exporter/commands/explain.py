"""`stream-exporter explain`: what a provider's code, a state or a reason means, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal

from exporter.commands.common import Terminal
from exporter.commands.options import ExplainOptions
from exporter.model import State
from exporter.providers import codes as catalogue
from exporter.providers.codes import Entry
from exporter.providers.interface import printable
from exporter.spelling import closest, did_you_mean

WORDS: Final = {
    "en": {
        "state": "state",
        "reason": "failure, reason",
        "none": "an answer that tells nothing of a single stream",
        "class": "class",
        "meaning": "meaning",
        "advice": "what to do",
        "family": "APIs",
        "unlisted": "not in the table of codes; explained by what it begins with",
    },
    "zh": {
        "state": "状态",
        "reason": "失败，原因",
        "none": "不说明单个流状态的应答",
        "class": "类别",
        "meaning": "含义",
        "advice": "处理",
        "family": "类 API",
        "unlisted": "错误码表中没有此码，以下按其前缀解释",
    },
}

OWN_STATES: Final = {
    State.ACTIVE: (
        "The provider says that the stream is live; `stream_active` is 1.",
        "Nothing to do.",
        "服务商确认该流正在直播；`stream_active` 为 1。",
        "无需处理。",
    ),
    State.INACTIVE: (
        "The provider says that the stream is not live; `stream_active` is 0.",
        "If it should be live, check the publisher and its network.",
        "服务商确认该流未在直播；`stream_active` 为 0。",
        "如应在播，请检查推流端及其网络。",
    ),
    State.FORBIDDEN: (
        "The stream is blocked at the provider; `stream_active` is 0.",
        "Find out in the provider's console who blocked it and until when.",
        "该流已被服务商侧禁播；`stream_active` 为 0。",
        "请在服务商控制台查明由谁禁播、何时到期。",
    ),
    State.NOT_FOUND: (
        "The provider knows no such stream; `stream_active` is 0.",
        "Compare the stream's address letter by letter with the publisher's; it may also never have been live.",
        "服务商没有该流的记录；`stream_active` 为 0。",
        "请逐字核对流地址与推流端；该流也可能从未开播。",
    ),
    State.UNKNOWN: (
        "Nobody knows: not asked yet, the last attempt failed, or its answer is too old; `stream_active` is absent.",
        "Look at the stream's last error on the status page or with `stream-exporter probe`, and explain its code.",
        "状态未知：尚未查询、最近一次查询失败，或上次结果已过期；此时没有 `stream_active`。",
        "请在状态页或用 `stream-exporter probe` 查看该流的最近错误，再用 explain 查询错误码。",
    ),
}


def run(options: ExplainOptions, terminal: Terminal) -> int:
    """Explain a code; return 1 if nobody knows it, 2 if the provider is unknown."""
    known = catalogue.providers()
    if options.provider is not None and options.provider not in known:
        hint = did_you_mean(options.provider, known, quote="")
        terminal.complain(f"unknown provider {printable(options.provider)}; it is one of {', '.join(known)}{hint}")
        return 2
    asked = (options.provider,) if options.provider else known
    entries = find(options.code, asked)
    if not entries:
        _unknown(options, asked, terminal)
        return 1
    terminal.say("\n\n".join(text(entry, options.lang) for entry in entries))
    if not entries[0].listed:
        _suggest(options.code, asked, terminal)
    return 0


def find(code: str, providers: Iterable[str]) -> list[Entry]:
    """Return all that a code may mean: what lists it, else what is our own word, else what it resembles."""
    found = [entry for name in providers for entry in catalogue.load(name).explain(code)]
    listed = [entry for entry in found if entry.listed]
    return [*listed, *_own(code)] or found


def _own(word: str) -> Iterator[Entry]:
    """Yield what the word means where it is the exporter's own: a state, a reason, `ok` or `other`."""
    if word in {str(state) for state in State}:
        meaning, advice, meaning_zh, advice_zh = OWN_STATES[State(word)]
        yield Entry(catalogue.LOCAL, word, None, word, meaning, advice, meaning_zh, advice_zh)
    try:
        yield catalogue.local(word)
    except KeyError:
        return


def text(entry: Entry, lang: Literal["en", "zh"]) -> str:
    """Return an entry for people."""
    words = WORDS[lang]
    meaning, advice = (entry.meaning, entry.advice) if lang == "en" else (entry.meaning_zh, entry.advice_zh)
    title = "stream-exporter" if entry.provider == catalogue.LOCAL else entry.provider
    family = f" ({entry.family} {words['family']})" if entry.family else ""
    note = "" if entry.listed else f"\n  {words['unlisted']}"
    return (
        f"{title} {printable(entry.code)}{family}{note}\n"
        f"  {words['class']}: {_class(entry, words)}\n"
        f"  {words['meaning']}: {meaning}\n"
        f"  {words['advice']}: {advice}"
    )


def _class(entry: Entry, words: dict[str, str]) -> str:
    if entry.reason:
        return f"{words['reason']} {entry.reason}"
    return f"{words['state']} {entry.state}" if entry.state else words["none"]


def _unknown(options: ExplainOptions, asked: Iterable[str], terminal: Terminal) -> None:
    whose = f" of {options.provider}" if options.provider else ""
    if options.provider is None and options.code in catalogue.providers():
        terminal.complain(f"{options.code} is a provider; give a code of it too: explain {options.code} CODE")
        return
    terminal.complain(f"unknown code{whose}: {printable(options.code)}")
    _suggest(options.code, asked, terminal)


def _suggest(code: str, asked: Iterable[str], terminal: Terminal) -> None:
    close = closest(code[:128], _codes(asked), 5)
    if close:
        terminal.complain(f"did you mean {', '.join(close)}?")


def _codes(asked: Iterable[str]) -> Iterator[str]:
    for name in asked:
        yield from (entry.code for entry in catalogue.load(name).entries())
    yield from (entry.code for entry in (*catalogue.reasons(), *catalogue.words()))
    yield from State
