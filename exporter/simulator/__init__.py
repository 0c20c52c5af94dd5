"""The fake clouds on one address, for the demo, for `simulate` and for tests."""

from exporter.simulator.demo import EXPIRED, STANDS_STILL, demo_configuration, demo_world
from exporter.simulator.describe import describe
from exporter.simulator.faults import Fault
from exporter.simulator.load import WorldError, load_world, parse_world
from exporter.simulator.server import Simulator, serving
from exporter.simulator.types import Figures, Input, Manners, Playback, Script, Tricks
from exporter.simulator.world import World

__all__ = [
    "EXPIRED",
    "STANDS_STILL",
    "Fault",
    "Figures",
    "Input",
    "Manners",
    "Playback",
    "Script",
    "Simulator",
    "Tricks",
    "World",
    "WorldError",
    "demo_configuration",
    "demo_world",
    "describe",
    "load_world",
    "parse_world",
    "serving",
]
