"""A cloud of the simulator is one file: nothing else names it, and one more file is one more cloud."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from exporter import simulator
from exporter.simulator.providers import fakes

HOME = Path(simulator.__file__).parent
TOY = HOME / "providers" / "zego.py"
LATECOMER = """
import json, sys
from exporter.simulator import World, demo_world, describe, providers
providers.__path__.append(sys.argv[1])
providers.fakes.cache_clear()
providers.quirks.cache_clear()
world = demo_world()
world.add_account("new", "toy", app_id=9, server_secret="secret")
world.add_stream("one", "new", state="inactive")
print(json.dumps([sorted(providers.fakes()), list(describe(world, "u"))[-1], world.quirks.toy_history]))
"""


def test_no_cloud_is_named_outside_of_its_file() -> None:
    """Whoever adds a cloud has to change nothing but the folder of the fakes."""
    names = re.compile("|".join(fakes()), re.IGNORECASE)
    sources = [*HOME.glob("*.py"), HOME / "providers" / "__init__.py"]
    assert len(sources) > 10
    assert [path.name for path in sources if names.search(path.read_text(encoding="utf-8"))] == []


def test_one_more_file_is_one_more_cloud(tmp_path: Path) -> None:
    """A fake that lies in the folder is found: its accounts, streams and switches are there, and the demo goes on."""
    text = TOY.read_text(encoding="utf-8").replace('name="zego"', 'name="toy"').replace("zego_", "toy_")
    (tmp_path / "toy.py").write_text(text.replace("demo=DEMO", "demo=()"), encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", LATECOMER, str(tmp_path)], capture_output=True, text=True, check=True)
    found, line, quirk = json.loads(done.stdout)
    assert found == sorted([*fakes(), "toy"])
    assert line.startswith("stream=toy/one state=inactive account=new stream_id=one playback=")
    assert quirk is True
