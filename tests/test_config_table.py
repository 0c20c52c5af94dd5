"""Stream files in CSV: as strict as YAML, with the line and the column of every problem."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from exporter import providers
from exporter.config import Config, ConfigErrors, load
from exporter.config.document import LARGEST
from exporter.config.table import Columns, NotCsv, rows
from tests.cost import ratio
from tests.markdown import ROOT, page

PROVIDERS = providers.all_providers()
MAIN = """\
accounts:
  - {name: t, provider: tencent, secret_id: i, secret_key: k}
  - {name: v, provider: volcengine, access_key_id: i, secret_access_key: k, app_id: a}
stream_files: [streams.csv]
"""
CANARY = "Zx9canary0canary1canary2"


def loaded(directory: Path, data: str | bytes) -> Config:
    """Load a configuration whose streams stand in a table."""
    (directory / "c.yml").write_text(MAIN)
    (directory / "streams.csv").write_bytes(data if isinstance(data, bytes) else data.encode())
    return load(directory / "c.yml", PROVIDERS, {})


def errors(directory: Path, data: str | bytes) -> list[str]:
    """Return the errors of a table."""
    with pytest.raises(ConfigErrors) as caught:
        loaded(directory, data)
    return [str(problem).removeprefix(f"{directory}/streams.csv:") for problem in caught.value.problems]


def test_a_table_is_the_same_as_a_list(tmp_path: Path) -> None:
    """Each line is the stream that YAML would make of it: text, numbers, lists and labels; an empty cell is no key."""
    table = (
        "name,account,domain,app,inputs,labels.team,labels.tier,room_id,user_id,media\n"
        "arena-1,t,push.example.com,live,2,esports,gold,,,\n"
        "007,t,push.example.com,,,,,,,\n"
        "host,v,,,,events,,lobby,yes,audio video\n"
    )
    streams = [
        {"name": "arena-1", "account": "t", "domain": "push.example.com", "app": "live", "inputs": 2,
         "labels": {"team": "esports", "tier": "gold"}},
        {"name": "007", "account": "t", "domain": "push.example.com"},
        {"name": "host", "account": "v", "room_id": "lobby", "user_id": "yes", "media": ["audio", "video"],
         "labels": {"team": "events"}},
    ]  # fmt: skip
    found = loaded(tmp_path, table)
    (tmp_path / "list.yml").write_text(yaml.safe_dump(streams))
    (tmp_path / "c.yml").write_text(MAIN.replace("streams.csv", "list.yml"))
    as_list = load(tmp_path / "c.yml", PROVIDERS, {})
    assert found.streams == as_list.streams
    assert [one.model_fields_set for one in found.streams] == [one.model_fields_set for one in as_list.streams]
    assert found.label_names == ("team", "tier")
    assert tmp_path / "streams.csv" in found.files


@pytest.mark.parametrize(
    "data",
    [
        b"name,account,domain\na b,t,d.example\nc,t,d.example\n",
        b"\xef\xbb\xbfname,account,domain\r\na b,t,d.example\r\nc,t,d.example\r\n",
        b"name,account,domain\ra b,t,d.example\rc,t,d.example",
        b'"name","account","domain"\n"a b","t","d.example"\n"c","t","d.example"',
        b"name, account , domain\n\n  a b , t,d.example\n,,\nc,t, d.example\n\n",
        b' "name" ,"account",domain\n"a b" , "t",d.example\nc,t,"d.example"\n',
    ],
)
def test_how_programs_write_csv(data: bytes, tmp_path: Path) -> None:
    """A byte order mark, every end of line, quotes everywhere, blanks around cells and empty lines change nothing."""
    assert [(one.name, one.account) for one in loaded(tmp_path, data).streams] == [("a b", "t"), ("c", "t")]


def test_quotes_commas_and_line_breaks_in_cells() -> None:
    """A quoted cell holds what a bare one cannot, and the lines after a line break in one are counted right."""
    found = list(rows('a,"b,""c"""\n"d\r\ne",f\ng,'))
    assert [[cell.text for cell in row] for row in found] == [["a", 'b,"c"'], ["d\r\ne", "f"], ["g", ""]]
    assert [(cell.line, cell.column) for row in found for cell in row] == [
        (1, 1),
        (1, 3),
        (2, 1),
        (3, 4),
        (4, 1),
        (4, 3),
    ]


HEAD = "name,account,domain"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("", ["1:1: document: is empty"]),
        (" \n", ["1:1: document: is empty"]),
        (f"{HEAD},domain\n", ["1:21: domain: stands twice in the header"]),
        (f"{HEAD},domian\n", ["1:21: domian: unknown column; did you mean 'domain'?"]),
        (f"{HEAD},names\n", ["1:21: names: unknown column; each line is one stream: use name"]),
        (f"{HEAD},labels\n", ["1:21: labels: unknown column; a label has a column of its own, such as labels.team"]),
        (f"{HEAD},labels.stream\n", ["1:21: labels.stream: this label name is taken; use another"]),
        (f"{HEAD},\n", ["1:21: document: a column without a name"]),
        (f"{HEAD},{CANARY}\n", ["1:21: <key>: unknown column"]),
        ("name,domain\n", ["1:1: document: lacks the column account; the first line names the columns"]),
        ("name;account\n", ["1:1: document: the columns are separated by semicolons; separate them by commas"]),
        ("name\taccount\n", ["1:1: document: the columns are separated by tabs; separate them by commas"]),
        (f"{HEAD}\na,t\n", ["2:3: [0]: has 2 cells where the header has 3"]),
        (f"{HEAD}\na,t,d,e,f\n", ["2:7: [0]: has 5 cells where the header has 3"]),
        (f"{HEAD}\n,t,d\n", ["2:1: [0].name: is empty; text is expected"]),
        (f"{HEAD}\na,,d\n", ["2:3: [0].account: no account has this name; the accounts are t, v"]),
        (f"{HEAD}\na,u,d\n", ["2:3: [0].account: no account has this name; the accounts are t, v"]),
        (f"{HEAD}\na,t,\n", ["2:1: [0].domain: is missing"]),
        (f"{HEAD}\na,t,d\na,t,d\n", ["3:1: [1].name: a tencent stream is named 'a' already, first at FILE:2"]),
        (f"{HEAD},inputs\na,t,d,02\n", ["2:7: [0].inputs: is not a whole number in plain digits"]),
        (f"{HEAD},inputs\na,t,d,2.0\n", ["2:7: [0].inputs: is not a whole number in plain digits"]),
        (f"{HEAD},inputs\na,t,d,65\n", ["2:7: [0].inputs: must be at most 64"]),
        (f"{HEAD},room_id\na,t,d,r\n",
         ["2:7: [0].room_id: unknown key; it belongs to streams of volcengine; this account's are tencent"]),
        (f"{HEAD},room_id,media\na,v,,r,audio vido\n",
         ["2:8: [0].media[1]: must be one of audio, video, screen_audio, screen_video; did you mean 'video'?"]),
        (f'{HEAD}\na,t,"d\n', ["2:5: document: is not CSV: a quote is not closed"]),
        (f'{HEAD}\n"a"b,t,d\n',
         ["2:1: document: is not CSV: text follows the closing quote; a quote within a cell is written twice"]),
        (f'{HEAD}\na"b",t,d\n',
         ["2:2: document: is not CSV: a quote within a cell; put the cell in quotes, and write this quote twice"]),
        (f"{HEAD}\na\0,t,d\n", ["2:2: document: is not CSV: a control character"]),
        (f"{HEAD}\nä,t,".encode() + b"\xff\n", ["2:5: document: is not UTF-8 here"]),
        (f"{HEAD}\n".encode("utf-16"), ["1:1: document: is not UTF-8 here"]),
        (b"x" * (LARGEST + 1), ["1:1: document: is larger than 16 MiB"]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_table(data: str | bytes, told: list[str], tmp_path: Path) -> None:
    """Each mistake is told once, with its line, its column and the key, and without what is in the cell."""
    found = [each.replace(f"{tmp_path}/streams.csv", "FILE") for each in errors(tmp_path, data)]
    assert found == told


def test_all_errors_at_once(tmp_path: Path) -> None:
    """Errors of the header and of several lines are told together, in the order of the file."""
    found = errors(tmp_path, f"{HEAD},inputs,wrong\na,t,d,x,\nb,u,d,,\nc,t,http://d,,\n")
    assert [each.partition(": ")[0] for each in found] == ["1:28", "2:7", "3:3", "4:5"]


def test_a_value_is_not_repeated(tmp_path: Path) -> None:
    """Whatever stands in a cell, a header's too, no error shows it."""
    table = f"{HEAD},{CANARY},inputs\n{CANARY},{CANARY},{CANARY}/,{CANARY},{CANARY}\n{CANARY},t,/{CANARY},,{CANARY}\n"
    found = errors(tmp_path, table)
    assert len(found) >= 4
    assert CANARY not in "".join(found)


def test_a_variable_in_a_cell_is_warned_of(tmp_path: Path) -> None:
    """What looks like a variable is taken as it is, and warned of, as in YAML."""
    found = loaded(tmp_path, f"{HEAD},labels.team\na,t,d.example,${{TEAM}}\n")
    [warning] = [str(one) for one in found.warnings if "streams.csv" in str(one)]
    assert warning.startswith(f"{tmp_path}/streams.csv:2:15: [0].labels.team: looks like a variable")


def test_every_key_of_a_stream_has_a_column() -> None:
    """Whatever a cloud's streams may say can be said in a table."""
    columns = Columns.of(PROVIDERS.values())
    keys = {key for provider in PROVIDERS.values() for key in provider.stream.model_fields}
    assert [key for key in sorted(keys - {"labels"}) if columns.problem(key, ())] == []


@given(st.one_of(st.text(), st.text(alphabet='ab,"\r\n \t;')))
def test_any_text_is_read_or_refused_with_its_place(text: str) -> None:
    """Whatever a file holds, either every cell stands where it says it does, or the place of the mistake is there."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    try:
        for row in rows(text):
            for cell in row:
                rest = lines[cell.line - 1][cell.column - 1 :]
                assert rest.startswith((cell.text.partition("\n")[0].partition("\r")[0].partition('"')[0], '"'))
    except NotCsv as error:
        line, column = error.spot
        assert lines[line - 1][column - 1] == '"'


def test_the_script_in_the_documentation(tmp_path: Path) -> None:
    """The documented example turns an inventory into a table that the exporter takes, and leaves nothing beside it."""
    [script] = [block.text for block in page(ROOT / "docs" / "configuration.md").blocks if block.kind == "python"]
    (tmp_path / "streams.py").write_text(script)
    (tmp_path / "inventory.json").write_text(
        json.dumps([{"id": f'a,"{count}"', "push_domain": "push.example.com", "owner": "team"} for count in range(500)])
    )
    subprocess.run([sys.executable, "streams.py", "inventory.json", "streams.csv"], cwd=tmp_path, check=True)
    (tmp_path / "c.yml").write_text(MAIN.replace("name: t,", "name: tencent-main,"))
    found = load(tmp_path / "c.yml", PROVIDERS, {})
    assert len(found.streams) == 500
    assert (found.streams[7].name, found.streams[7].labels) == ('a,"7"', {"team": "team"})
    assert not list(tmp_path.glob("*.new"))


def test_the_table_in_the_documentation(tmp_path: Path) -> None:
    """The documented example of a table is one."""
    [table] = [block.text for block in page(ROOT / "docs" / "configuration.md").blocks if block.kind == "csv"]
    (tmp_path / "streams.csv").write_text(table)
    (tmp_path / "c.yml").write_text(MAIN.replace("name: t,", "name: tencent-main,"))
    assert [one.expected_inputs for one in load(tmp_path / "c.yml", PROVIDERS, {}).streams] == [2, None]


def test_many_streams(tmp_path: Path) -> None:
    """Ten thousand lines are read in a time like that of the same list in YAML."""
    (tmp_path / "c.csv").write_text(HEAD + "\n" + "".join(f"s{count},t,push.example.com\n" for count in range(10_000)))
    (tmp_path / "c.yml").write_text(
        "".join(f"- {{name: s{count}, account: t, domain: push.example.com}}\n" for count in range(10_000))
    )

    def loading(suffix: str) -> Callable[[], None]:
        main = tmp_path / f"main-{suffix}.yml"
        main.write_text(MAIN.replace("streams.csv", f"c.{suffix}"))

        def work() -> None:
            assert len(load(main, PROVIDERS, {}).streams) == 10_000

        return work

    assert ratio(loading("csv"), loading("yml"), 2) < 2
