"""Draw pictures of what the dashboards show, from a running Prometheus: python -m grafana.render --help.

The same queries, titles, units and colours as in Grafana, drawn by `draw.py` and photographed by headless Chromium.
They are no screenshots of Grafana, and say so.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image

from grafana import draw
from grafana.ask import Window, instant, ranged
from grafana.queries import Dashboard, filled, load, of_one_stream, panels, quoted

CAPTION = "Drawn from the queries of the panels against a running Prometheus; a rendering, not a screenshot of Grafana."
_COLOR = re.compile(r"#([0-9A-Fa-f]{6})\b")
MOST_CHANGED = "topk(1, max by (provider, stream) (stream_state_changes_total))"


def windows(span: float, scrape: float, end: float) -> tuple[Window, dict[str, str]]:
    """Return the time range and the values of Grafana's interval variables, all in seconds."""
    step = max(scrape, round(span / 300))
    spans = {"__range": span, "__interval": step, "__rate_interval": max(step + scrape, 4 * scrape)}
    return Window(end - span, end, step), {name: f"{value * 1000:.0f}ms" for name, value in spans.items()}


def _series(found: dict[str, Any], legend: str) -> draw.Series:
    labels = dict(found["metric"])
    name = legend
    for label, value in labels.items():
        name = name.replace("{{" + label + "}}", value)
    pairs = found.get("values") or [found["value"]]
    return draw.Series(name, labels, [(float(at), float(value)) for at, value in pairs if value != "NaN"])


def answered(prometheus: str, panel: dict[str, Any], window: Window, values: dict[str, str]) -> draw.Shown:
    """Ask all queries of a panel."""
    answers = []
    for target in panel["targets"]:
        expr = filled(target["expr"], values)
        found = instant(prometheus, expr, window.end) if target.get("instant") else ranged(prometheus, expr, window)
        series = [_series(one, target["legendFormat"]) for one in found]
        answers.append([one for one in series if one.points])
    return draw.Shown(panel, answers, window)


def html(prometheus: str, dashboard: Dashboard, window: Window, values: dict[str, str]) -> str:
    """Return one dashboard as a page."""
    shown = [answered(prometheus, panel, window, values) for panel in panels(dashboard)]
    end = datetime.fromtimestamp(window.end, UTC).strftime("%Y-%m-%d %H:%M UTC")
    what = f"{values['provider']}/{values['stream']}, " if of_one_stream(dashboard) else ""
    return draw.page(dashboard, shown, values, f"{CAPTION} {what}{draw.duration(window.end - window.start)} to {end}.")


def photograph(page: Path, picture: Path, height: int, chromium: str) -> None:
    """Let headless Chromium draw a local page into a PNG.

    Raises:
        RuntimeError: No picture came of it.
    """
    with tempfile.TemporaryDirectory() as profile:
        command = [chromium, "--headless=new", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}"]
        command += [
            f"--window-size={draw.WIDTH},{height}",
            f"--screenshot={picture.resolve()}",
            page.resolve().as_uri(),
        ]
        if os.geteuid() == 0:
            command.insert(1, "--no-sandbox")  # it refuses to start as root, and the page is our own
        done = subprocess.run(command, capture_output=True, timeout=120, check=False)  # noqa: S603
    if done.returncode or not picture.exists():
        raise RuntimeError(f"Chromium drew nothing: {done.stderr.decode(errors='replace')[-500:]}")
    shrink(picture, page.read_text(encoding="utf-8"))


def shrink(picture: Path, page: str = "") -> None:
    """Keep 256 colours of a PNG, which takes a third of the room: those that its page names, and the most frequent."""
    with Image.open(picture) as drawn:
        image = drawn.convert("RGB")
    named = [tuple(bytes.fromhex(color)) for color in _COLOR.findall(page)]
    kept = list(dict.fromkeys([*named, *_frequent(image)]))[:256]
    reduced = image.quantize(palette=_palette(kept), dither=Image.Dither.NONE)
    # Pillow takes a near colour for the nearest: let each place show what stands there most often, so white is white.
    places = Image.frombytes("L", image.size, reduced.tobytes())
    exact: dict[int, tuple[int, ...]] = {}
    for *color, place in _frequent(Image.merge("RGBA", (*image.split(), places))):
        exact.setdefault(place, tuple(color))
    reduced.putpalette([part for place in range(256) for part in exact.get(place, (0, 0, 0))])
    reduced.save(picture, optimize=True)


def _frequent(image: Image.Image) -> list[tuple[int, ...]]:
    """Return the colours of an image, the most frequent first."""
    counted: Any = image.getcolors(image.width * image.height)
    return [color for _, color in sorted(counted, reverse=True)]


def _palette(colors: Sequence[tuple[int, ...]]) -> Image.Image:
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for color in colors for part in color])
    return palette


def stream_to_show(prometheus: str, wanted: str | None, at: float) -> dict[str, str]:
    """Return provider and stream for the Stream dashboard: the one asked for, else one whose state changed most.

    Raises:
        LookupError: No watched stream is seen.
    """
    if wanted:
        provider, _, stream = wanted.partition("/")
        return {"provider": quoted(provider), "stream": quoted(stream)}
    found = instant(prometheus, MOST_CHANGED, at)
    if not found:
        raise LookupError("Prometheus has no stream to show")
    return {name: quoted(found[0]["metric"][name]) for name in ("provider", "stream")}


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m grafana.render", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090", help="address (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder (default: %(default)s)")
    parser.add_argument("--range", type=float, default=3600, help="time range in seconds (default: %(default)s)")
    parser.add_argument("--scrape-interval", type=float, default=15, help="seconds (default: %(default)s)")
    parser.add_argument("--stream", help="PROVIDER/STREAM of the Stream dashboard (default: one that changed most)")
    parser.add_argument("--label", default="account", help="label to group by in Fleet (default: %(default)s)")
    parser.add_argument("--chromium", default=shutil.which("chromium") or "chromium", help="default: %(default)s")
    parser.add_argument("--html", action="store_true", help="keep the pages beside the pictures")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Draw `dashboard-<name>.png` of every dashboard."""
    asked = _arguments(argv)
    asked.out.mkdir(parents=True, exist_ok=True)
    window, spans = windows(asked.range, asked.scrape_interval, time.time())
    one = stream_to_show(asked.prometheus, asked.stream, window.end)
    for name, dashboard in load().items():
        values = {"label": asked.label, "job": ".+", "account": ".+", "provider": ".+", "stream": ".+", **spans}
        values |= one if of_one_stream(dashboard) else {}
        page, picture = asked.out / f"dashboard-{name}.html", asked.out / f"dashboard-{name}.png"
        page.write_text(html(asked.prometheus, dashboard, window, values), encoding="utf-8")
        photograph(page, picture, draw.height(dashboard), asked.chromium)
        print(picture)
        if not asked.html:
            page.unlink()


if __name__ == "__main__":
    main()
