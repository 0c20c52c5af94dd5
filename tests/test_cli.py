"""The command line: flags, their defaults, what is refused, and how the process ends."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from exporter import __version__
from exporter.cli import parse
from exporter.commands.options import FLAGS, Address, ServeOptions, SocketFile
from exporter.commands.overview import COMMANDS, Command
from tests.commands.running import process, run

SERVE_FLAGS = [
    "--config.file",
    "--web.listen-address",
    "--web.config.file",
    "--web.telemetry-path",
    "--web.enable-lifecycle",
    "--web.external-url",
    "--web.page-title",
    "--web.dashboard-url",
    "--runbook-url",
    "--scrape.timeout-offset",
    "--log.level",
    "--log.format",
    "--version",
]
HEAVY = {"aiohttp", "asyncio", "bcrypt", "email", "importlib.metadata", "logging", "pkgutil", "prometheus_client",
         "pydantic", "rich", "ssl", "structlog", "subprocess", "yaml"}  # fmt: skip


def test_no_command_is_serve() -> None:
    """Without a command the exporter runs, with the defaults that are documented."""
    command, options = parse([])
    assert command.name == "serve"
    assert options == ServeOptions(
        Path("stream-exporter.yml"), (Address(None, 10180),), None, "/metrics", False, None, 0.5, "info", "logfmt"
    )


@pytest.mark.parametrize("prefix", [[], ["serve"]])
def test_flags_of_serve(prefix: list[str]) -> None:
    """Every flag of serve arrives as a typed value, with and without the command's name."""
    given = (
        "--config.file=f.yml --web.listen-address 127.0.0.1:1 --web.listen-address [::1]:2 "
        "--web.config.file web.yml --web.telemetry-path /m --web.enable-lifecycle --web.external-url https://s.example "
        "--scrape.timeout-offset 0.25 --log.level debug --log.format json"
    )
    command, options = parse([*prefix, *given.split()])
    assert command.name == "serve"
    addresses = (Address("127.0.0.1", 1), Address("::1", 2))
    assert options == ServeOptions(
        Path("f.yml"), addresses, Path("web.yml"), "/m", True, "https://s.example", 0.25, "debug", "json"
    )


@pytest.mark.parametrize(
    ("flags", "prefix", "home"),
    [
        ("", "", "/"),
        ("--web.route-prefix=/", "", "/"),
        ("--web.route-prefix=", "", "/"),
        ("--web.route-prefix=streams/", "/streams", "/streams/"),
        ("--web.external-url=https://a.example", "", "/"),
        ("--web.external-url=https://a.example/b/c/", "/b/c", "/b/c/"),
        ("--web.external-url=https://a.example/b --web.route-prefix=/", "", "/b/"),
        ("--web.external-url=https://a.example/b --web.route-prefix=/c", "/c", "/b/"),
    ],
)
def test_the_prefix_of_the_paths(flags: str, prefix: str, home: str) -> None:
    """As with Prometheus, it is the external address's path unless it is given; slashes around it do not matter."""
    _, options = parse(flags.split())
    assert (options.prefix, options.home) == (prefix, home)


@pytest.mark.parametrize(
    ("flags", "title"),
    [
        ([], ""),
        (["--web.page-title", "production eu"], "production eu"),
        (["--web.external-url=https://streams.example:8443/b"], "streams.example"),
        (["--web.external-url=https://streams.example", "--web.page-title=staging"], "staging"),
        (["--web.external-url=https://streams.example", "--web.page-title="], "streams.example"),
    ],
)
def test_the_title_of_the_status_page(flags: list[str], title: str) -> None:
    """What is watched is called as the operator says, else by the host under which people reach the exporter."""
    _, options = parse(flags)
    assert options.title == title


def test_the_addresses_to_which_the_status_page_links() -> None:
    """A dashboard's address has placeholders for the stream; the runbook is the same as that of the rules."""
    dashboard = "https://g.example/d/x?var-provider={provider}&var-account={account}&var-stream={stream}"
    _, options = parse([f"--web.dashboard-url={dashboard}", "--runbook-url=https://wiki.example/r"])
    assert (options.web_dashboard_url, options.runbook_url) == (dashboard, "https://wiki.example/r")
    _, options = parse([])
    assert (options.web_dashboard_url, options.runbook_url) == ("", parse(["rules"])[1].runbook_url)
    for wrong in (
        "g.example",
        "javascript:alert(1)",
        "https://g.example/{name}",
        "https://g.example/{{stream}}",
        "https://g x",
    ):
        refused = run("serve", f"--web.dashboard-url={wrong}")
        assert (refused.code, "is not an address like https://grafana.example.com/d/" in refused.err) == (2, True)


@pytest.mark.parametrize("path", ["/a/../b", "/.", "/a//b", "/a b", "/a?b", "/{a}", "/%41", "/ü"])
@pytest.mark.parametrize("flag", ["--web.route-prefix=", "--web.external-url=https://a.example"])
def test_a_prefix_that_clients_would_change_is_refused(flag: str, path: str) -> None:
    """A prefix means itself, so that what is asked for is what is served."""
    if "?" in path and "external" in flag:
        path = path.replace("?", "%3f")
    assert run("serve", f"{flag}{path}").code == 2


@pytest.mark.parametrize(("text", "path"), [("unix:/run/e.sock", "/run/e.sock"), ("unix:e.sock", "e.sock")])
def test_a_socket_is_an_address(text: str, path: str) -> None:
    """`unix:PATH` is one; a path that the kernel has no room for is refused, as is the demo on a socket alone."""
    _, options = parse(["serve", f"--web.listen-address={text}"])
    assert options.web_listen_address == (SocketFile(Path(path)),)
    assert str(options.web_listen_address[0]) == text
    for wrong in ("unix:", "unix:/" + "x" * 107):
        assert run("serve", f"--web.listen-address={wrong}").code == 2
    refused = run("demo", f"--web.listen-address={text}")
    assert (refused.code, "--web.listen-address" in refused.err) == (2, True)


def test_help_names_every_command_and_flag() -> None:
    """The overview lists all commands, and serve's help all its flags."""
    overview, serve = run("--help"), run("serve", "--help")
    assert (overview.code, serve.code) == (0, 0)
    assert all(f"  {name} " in overview.out for name in COMMANDS)
    assert all(flag in serve.out for flag in SERVE_FLAGS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_a_command_too(command: str) -> None:
    """`help` prints what `--help` does, for all commands and for one."""
    assert run("help") == run("--help")
    assert run("help", command) == run(command, "--help")


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_every_option_has_its_flag(command: Command) -> None:
    """The table of flags and the typed options agree, and every flag names commands that there are."""
    taken, options = {flag.field for flag in command.flags}, {field.name for field in fields(command.options)}
    assert taken <= options if command.name == "demo" else taken == options
    assert all(set(flag.commands.split()) <= set(COMMANDS) for flag in FLAGS)


@pytest.mark.parametrize("argv", [["--version"], ["serve", "--version"], ["version"]])
def test_version(argv: list[str]) -> None:
    """The version is printed on standard output."""
    done = run(*argv)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"stream-exporter {__version__} ")


@pytest.mark.parametrize(
    ("argv", "unneeded"),
    [
        (["--version"], HEAVY),
        (["--help"], HEAVY),
        (["version"], HEAVY),
        (["help", "check"], HEAVY),
        (["completion", "bash"], HEAVY),
        (["serve", "--help"], HEAVY),
        (["chek"], HEAVY),
        (["explain", "timeout"], {"aiohttp", "asyncio", "prometheus_client", "rich", "ssl", "structlog"}),
        (["schema"], {"aiohttp", "prometheus_client", "rich", "structlog"}),
        (["check", "none.yml"], {"aiohttp", "prometheus_client", "structlog"}),
    ],
)
def test_nothing_heavy_is_imported_unless_needed(argv: list[str], unneeded: set[str]) -> None:
    """What is asked for often or by hand starts at once: no command imports the libraries that only others need."""

    def imported(code: str, *argv: str) -> set[str]:
        command = [sys.executable, "-X", "importtime", "-c", code, *argv]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}

    found = imported("from exporter.cli import run; run()", *argv)
    assert "exporter.cli" in found
    assert (found - imported("pass")) & unneeded == set()


def test_what_reads_playlists_is_imported_with_the_first_address() -> None:
    """Who checks no address does not wait for it at the start, and the first check does not hold the event loop."""
    code = """if True:
        import sys
        import exporter.commands.serve
        from exporter.addresses import PlaybackAddress
        from exporter.fields import Secret
        from exporter.playback.checker import Checker
        there = ["m3u8" in sys.modules]
        Checker(PlaybackAddress("a", Secret("https://h/a"), "https://h/a", ("https://h",)), None, None)
        print(*there, "m3u8.parser" in sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("False True\n", "")


@pytest.mark.parametrize("flag", [flag[:-1] for flag in SERVE_FLAGS])
def test_abbreviated_flags_are_refused(flag: str) -> None:
    """A flag that lacks its last letter is refused, and the whole one is named."""
    done = run(flag)
    assert done.code == 2
    assert f"unknown flag {flag}; did you mean {flag}" in done.err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_unknown_flags(command: str) -> None:
    """No command takes a flag that it does not know, and none repeats what stands behind it: it may be a secret."""
    needed = {"explain": ["41004"], "completion": ["bash"]}.get(command, [])
    done = run(command, *needed, "--secret-key=abc-123", "--token", "def-456")
    assert (done.code, done.out) == (2, "")
    assert "unknown flag --secret-key" in done.err
    assert "abc-123" not in done.err
    assert "def-456" not in done.err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["chek"], "unknown command 'chek'; did you mean check?"),
        (["nonsense"], "unknown command 'nonsense'; `stream-exporter --help` lists them all"),
        (["--config.file", "f", "check"], "the command comes first: stream-exporter check"),
        (["check", "f.yml", "g.yml"], "unexpected argument 'g.yml'"),
        (["check", "f.yml", "--config.file", "g.yml"], "two configurations are named; give one"),
        (["--web.listen-address", "localhost"], "'localhost' is not HOST:PORT or :PORT"),
        (["--web.listen-address", ":65536"], "':65536' is not HOST:PORT or :PORT"),
        (["--web.telemetry-path", "metrics"], "'metrics' is not a path like /metrics"),
        (["--web.telemetry-path", "/{x}"], "'/{x}' is not a path like /metrics"),
        (["--web.telemetry-path", "/probe"], "'/probe' is taken by another page"),
        (["--web.telemetry-path", "/static/page.css"], "'/static/page.css' is taken by another page"),
        (["--web.telemetry-path", "/-/healthy"], "'/-/healthy' is taken by another page"),
        (["--web.external-url", "streams.example"], "'streams.example' is not an address like https://streams.ex"),
        (["--web.external-url", "https://"], "'https://' is not an address like https://streams.ex"),
        (["--web.external-url", "http://[::1"], "'http://[::1' is not an address like https://streams.ex"),
        (["--scrape.timeout-offset", "-1"], "'-1' is not a number of seconds from 0 to 120"),
        (["--scrape.timeout-offset", "nan"], "'nan' is not a number of seconds from 0 to 120"),
        (["--scrape.timeout-offset", "soon"], "'soon' is not a number of seconds from 0 to 120"),
        (["check", "--config.file", ""], "argument --config.file: the name of a file is empty"),
        (["serve", "--", "f.yml"], "error: unexpected argument 'f.yml'"),
        (["help", "chek"], "unknown command 'chek'; did you mean check?"),
        (["completion"], "required: shell"),
        (["completion", "sh"], "invalid choice: 'sh'"),
        (["--log.level", "trace"], "invalid choice: 'trace'"),
        (["--config.file"], "expected one argument"),
        (["check", "--file", "x"], "unknown flag --file; did you mean --config.file?"),
        (["check", "--config", "x"], "unknown flag --config; did you mean --config.file?"),
        (["probe", "--targets=x"], "unknown flag --targets\n"),
        (["--versio"], "unknown flag --versio; did you mean --version?"),
        (["explain"], "required: [PROVIDER] CODE"),
        (["explain", "zego", "1", "2"], "give a code, or a provider and a code"),
        (["probe", "--output", "xml"], "invalid choice: 'xml'"),
    ],
)
def test_wrong_command_lines(argv: list[str], said: str) -> None:
    """A wrong command line exits with 2, shows the usage and says what is wrong."""
    done = run(*argv)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("usage: stream-exporter")
    assert said in done.err


def test_an_empty_web_configuration_is_none() -> None:
    """`--web.config.file=` is no web configuration, as for other exporters."""
    _, options = parse(["--web.config.file="])
    assert options.web_config_file is None


@pytest.mark.parametrize(
    ("argv", "file", "targets"),
    [
        ("probe", "stream-exporter.yml", ()),
        ("probe zego/a", "stream-exporter.yml", ("zego/a",)),
        ("probe c.yaml", "c.yaml", ()),
        ("probe /etc/c zego/a zego/*", "/etc/c", ("zego/a", "zego/*")),
        ("probe ./tencent/c.YML tencent/a.yml", "tencent/c.YML", ("tencent/a.yml",)),
        ("probe --config.file c.yml tencent/a.yml", "c.yml", ("tencent/a.yml",)),
        ("check c.conf", "c.conf", None),
        ("check --strict --config.file c.yml", "c.yml", None),
        ("check", "stream-exporter.yml", None),
    ],
)
def test_the_configuration_as_an_argument(argv: str, file: str, targets: tuple[str, ...] | None) -> None:
    """`check FILE` and `probe FILE …` read that file, and what names a stream is not taken for one."""
    _, options = parse(argv.split())
    assert options.config_file == Path(file)
    assert getattr(options, "targets", None) == targets


def test_flags_may_stand_among_targets() -> None:
    """Targets before and after a flag are all taken."""
    _, options = parse(["probe", "zego/a", "--config.file", "f", "zego/b"])
    assert options.targets == ("zego/a", "zego/b")


@pytest.mark.parametrize(("command", "code"), [("serve", 1), ("check", 1), ("probe", 2)])
def test_a_missing_configuration(command: str, code: int, tmp_path: Path) -> None:
    """Where there is no configuration, its place is named, and the demo, the example, the schema and the flag."""
    place = tmp_path / "none.yml"
    done = run(command, "--config.file", str(place))
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(f"{place}:1:1: document: cannot be read: No such file or directory\n")
    for word in ("stream-exporter demo", "stream-exporter example", "stream-exporter schema", "--config.file"):
        assert word in done.err
    assert f"There is no configuration at {place}." in done.err


def test_a_directory_as_configuration(tmp_path: Path) -> None:
    """A folder in place of the file is told as such, without a traceback."""
    done = run("check", "--config.file", str(tmp_path))
    assert (done.code, done.err) == (1, f"{tmp_path}:1:1: document: cannot be read: Is a directory\n")


def test_a_configuration_beneath_a_file(tmp_path: Path) -> None:
    """Where it cannot even be told whether there is a configuration, the reason is given and no advice."""
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "c.yml"
    done = run("check", "--config.file", str(place))
    assert (done.code, done.err) == (1, f"{place}:1:1: document: cannot be read: Not a directory\n")


def test_a_reader_that_goes_away() -> None:
    """`stream-exporter schema | head` ends quietly: no traceback, and no complaint when Python closes the stream."""
    with process("schema") as child:
        assert child.stdout is not None
        child.stdout.close()
        child.stdout = None
        _, err = child.communicate(timeout=30)
    assert (child.returncode, err) == (141, "")


def test_a_full_disk() -> None:
    """Where the output cannot be written, that is said in one line, and the exit code is 1."""
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "exporter", "explain", "timeout"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "stream-exporter: cannot write: No space left on device\n")


def test_no_standard_output() -> None:
    """Started with its standard output closed, a command ends without a traceback."""
    done = subprocess.run(
        ["sh", "-c", f"exec {sys.executable} -m exporter explain timeout >&-"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_characters_that_the_terminal_lacks() -> None:
    """Chinese on an ASCII terminal is written with escapes instead of a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "exporter", "explain", "timeout", "--lang", "zh"],
        capture_output=True,
        env={"PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\u7c7b" in done.stdout
