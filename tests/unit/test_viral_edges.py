"""`marketing viral edges`: files that others wrote, read as they are, and figures worked out by hand."""

import gzip
import json
import math
import os
import random
import subprocess
import sys
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from orchestration.cli import app
from orchestration.viral.edges import EdgeListError, as_json, read_edges, report
from tests.oracles import viral_offspring as oracle

DRAWN = settings(deadline=None, max_examples=150)
NAMES = st.sampled_from("abcdefgh")
ROWS = st.lists(st.tuples(st.sampled_from(["", *"abcdefgh"]), NAMES, st.sampled_from(["", *"0123456789"])), max_size=12)

# a (day 0) brings b, c, d on days 1, 2, 4; b brings e on day 5 and f on day 3; f brings g on day 10.
# h (day 0) brings i on day 8. j (day 7) brings nobody.
FOREST = """parent,child,time
,a,2024-01-01
a,b,2024-01-02
a,c,2024-01-03
a,d,2024-01-05
b,e,2024-01-06
b,f,2024-01-04
f,g,2024-01-11
,h,2024-01-01
h,i,2024-01-09
,j,2024-01-08
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("edges")


@pytest.fixture
def told(folder):
    """The command on a file of this content: exit code, result, what was said beside it."""

    def run(content, *options, name="edges.csv"):
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return CliRunner().invoke(app, ["viral", "edges", str(path), *options])

    return run


@pytest.fixture
def figures(told):
    """The command's JSON; it must have succeeded."""

    def run(content, **given):
        done = told(content, "--json", **given)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    return run


def rows_of(stdout):
    """Printed lines, each as its words."""
    return [line.split() for line in stdout.splitlines()]


def without_file(figures):
    """What a report says of the edges, not of the file that held them."""
    return {name: value for name, value in figures.items() if name not in ("source", "columns", "notes")}


def test_a_forest_worked_out_by_hand(figures):
    found = figures(FOREST)
    assert (found["users"], found["seeds"], found["referred"]) == (10, 3, 7)
    # Seeds a, h, j brought 3, 1, 0. Of the seven whom somebody brought, b brought 2 and f 1.
    assert found["k_pooled"] == 0.7
    assert found["k_of_seeds"] == pytest.approx(4 / 3)
    assert found["k_after_seeds"] == pytest.approx(3 / 7)
    generations = [(one["generation"], one["users"], one["brought"], one["realised_k"]) for one in found["generations"]]
    assert generations == [(0, 3, 4, 4 / 3), (1, 4, 2, 0.5), (2, 2, 1, 0.5), (3, 1, 0, 0.0)]
    # Trees of 7, 2 and 1; the 90 % point lies 0.8 of the way from 2 to 7.
    trees = found["trees"]
    assert trees["mean"] == pytest.approx(10 / 3)
    assert trees["amplification"] == pytest.approx(10 / 3)
    assert (trees["median"], trees["p90"], trees["largest"], trees["largest_seed"]) == (2, pytest.approx(6), 7, "a")
    assert trees["depth"] == 3
    assert trees["trees_by_size"] == {"1": 1, "2": 1, "3-9": 1, "10-99": 0, "100+": 0}
    # From parent's join to child's: 1, 2, 4, 4, 2, 7, 8 days.
    cycle = found["cycle_time"]
    assert (cycle["median"], cycle["p90"]) == (pytest.approx(4), pytest.approx(7.4))
    assert (cycle["measured"], cycle["out_of_order"], cycle["untimed"]) == (7, 0, 0)
    assert (found["lines"], found["lines_left_out"], found["refused"]) == (10, 0, [])
    assert found["times"] == {
        "kind": "dates",
        "first": "2024-01-01T00:00:00+00:00",
        "last": "2024-01-11T00:00:00+00:00",
        "users_with": 10,
    }


def test_each_group_has_its_own_spread(figures):
    """Seeds in the fit of those whom they brought would give them the seeds' inequality."""
    by_group = {one["group"]: one for one in figures(FOREST)["spread"]}
    counts = {"seeds": [3, 1, 0], "after seeds": [2, 1, 0, 0, 0, 0, 0], "all": [3, 2, 1, 1, 0, 0, 0, 0, 0, 0]}
    # 80 % of 4, 3 and 7 joins: a and a fifth of h; b and 0.4 of f; a, b and 0.6 of h.
    shares = {"seeds": 1.2 / 3, "after seeds": 1.4 / 7, "all": 2.6 / 10}
    # 1 % of 2, 2 and 4 inviters is one person: a, b, a.
    without_top = {"seeds": 1 / 2, "after seeds": 1 / 6, "all": 4 / 9}
    assert by_group.keys() == counts.keys()
    for group, joins in counts.items():
        one = by_group[group]
        assert (one["users"], one["brought"], one["inviters"]) == (len(joins), sum(joins), sum(map(bool, joins)))
        r, k = one["realised_k"], one["dispersion"]
        assert r == pytest.approx(sum(joins) / len(joins))
        best = oracle.log_likelihood(joins, r, k)
        assert best > max(oracle.log_likelihood(joins, r, k * factor) for factor in (0.97, 1.03))
        # The end of the interval is where the likelihood has fallen by chi2(1, 95 %) / 2.
        assert best - oracle.log_likelihood(joins, r, one["dispersion_low"]) == pytest.approx(3.8414588 / 2, abs=1e-4)
        assert one["dispersion_high"] is None
        assert not one["is_poisson"]
        assert one["share_for_80"] == pytest.approx(shares[group])
        assert one["k_without_top"] == pytest.approx(without_top[group])
        assert one["extinction"] == pytest.approx(oracle.extinction(r, k, most=500), abs=1e-6)
        assert one["outbreak"] == pytest.approx(1 - one["extinction"])
    assert by_group["seeds"]["outbreak"] > 0.1
    assert by_group["after seeds"]["outbreak"] == 0


def test_the_printed_report_says_the_same(told, figures):
    after = figures(FOREST)["spread"][1]
    done = told(FOREST)
    assert (done.exit_code, done.stderr) == (0, "")
    rows = rows_of(done.stdout)
    assert ["0", "3", "4", "1.3333"] in rows
    assert ["3", "1", "0", "0.0000"] in rows
    assert ["3-9", "1", "33.33", "%"] in rows
    assert [row[:4] for row in rows if row[:1] == ["seeds"]] == [["seeds", "3", "4", "1.3333"]]
    dispersion = [f"{after['dispersion']:.3g}", f"{after['dispersion_low']:.3g}", "and", "above"]
    assert ["after", "seeds", "7", "3", "0.4286", *dispersion, "20.00", "%", "0.1667", "0.0000"] in rows
    for line in (
        "users: 10, seeds: 3, referred: 7; lines: 10, columns parent, child, time; joined from ",
        "joined from 2024-01-01T00:00:00+00:00 to 2024-01-11T00:00:00+00:00\n",
        "80 % of all joins come from 26.00 % of all users, 65.00 % of the 4 who brought anybody.",
        "mean 3.3333, median 2.0, p90 6.0, largest 7 (from a), deepest 3 generations",
        "check: 1 / (1 - K of all) = 3.3333, mean tree size 3.3333",
        "cycle time: median 4.00 days, p90 7.40 days, from 7 edges; left out: 0 who joined before their parent, 0 wit",
    ):
        assert line in done.stdout
    assert "Counts are cut off at the end of the list" in done.stdout
    assert "Every seed here brought somebody" not in done.stdout


def test_k_of_seeds_is_not_mixed_with_the_rest(told, figures):
    """95 seeds bring 228, of the 400 referred 172 were brought by others: 2.4, then 0.43. Pooled it is 0.81."""
    seeds = [f"s{number}" for number in range(95)]
    first = [(seeds[number % 95], f"f{number}") for number in range(228)]
    second = [(f"f{number}", f"g{number}") for number in range(172)]
    content = "parent,child\n" + "".join(f"{parent},{child}\n" for parent, child in first + second)
    found = figures(content)
    assert (found["seeds"], found["referred"]) == (95, 400)
    assert (found["k_of_seeds"], found["k_after_seeds"]) == (2.4, 0.43)
    assert found["k_pooled"] == pytest.approx(400 / 495)
    rows = rows_of(told(content).stdout)
    assert ["0", "95", "228", "2.4000"] in rows
    assert [row[1:4] for row in rows if row[:1] == ["seeds"]] == [["95", "228", "2.4000"]]
    assert [row[2:5] for row in rows if row[:1] == ["after"]] == [["400", "172", "0.4300"]]
    assert [row[1:4] for row in rows if row[:1] == ["all"]] == [["495", "400", "0.8081"]]


def test_seeds_who_brought_nobody_may_be_missing_and_that_is_said(figures):
    """Most edge lists have no line for them: K of seeds would be of those who brought somebody, unsaid."""
    assert any(note.startswith("Every seed here brought somebody") for note in figures("a,b\na,c\n")["notes"])
    assert not any(note.startswith("Every seed") for note in figures(",z\na,b\na,c\n")["notes"])


def test_without_times_all_that_needs_none_is_told(told, figures):
    content = "".join(line.rsplit(",", 1)[0] + "\n" for line in FOREST.splitlines())
    found = figures(content)
    timed = {"times": None, "cycle_time": None}
    assert without_file(found) == without_file({**figures(FOREST), **timed})
    assert "cycle time: needs times, and the list has none" in told(content).stdout
    assert "cut off" not in told(content).stdout
    empty = "".join(line.rsplit(",", 1)[0] + ",\n" for line in FOREST.splitlines()[1:])
    assert without_file(figures("parent,child,time\n" + empty)) == without_file(found)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"\xef\xbb\xbf" + FOREST.encode(), "bom.csv"),
        (gzip.compress(FOREST.encode()), "edges.csv.gz"),
        (FOREST.replace(",", ";").encode(), "semicolons.csv"),
        (FOREST.replace(",", "\t").encode(), "tabs.tsv"),
        (FOREST.replace("\n", "\r\n").encode(), "windows.csv"),
        (FOREST.split("\n", 1)[1].encode(), "no_header.csv"),
        (FOREST.split("\n", 1)[1].replace(",", "\t").encode(), "no_header.tsv"),
        (FOREST.replace(",", " , ").replace("\n", "\n\n").encode(), "spaces.csv"),
        (FOREST.replace("parent,child,time", "Invited By,USER-ID,Joined At").encode(), "aliases.csv"),
        (FOREST.replace("\n,", "\nNULL,").encode(), "null.csv"),
        (FOREST.replace("a,b,", '"a","b",').encode(), "quoted.csv"),
        (FOREST.replace("-", "").encode(), "compact.csv"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_same_edges_in_another_dress_say_the_same(figures, content, name):
    assert without_file(figures(content, name=name)) == without_file(figures(FOREST))


def test_columns_stand_in_any_order_and_others_are_left_alone(figures):
    lines = [line.split(",") for line in FOREST.splitlines()]
    found = figures("".join(f"{at};x,y;{child};{parent}\n" for parent, child, at in lines).replace("x,y", "source", 1))
    assert found["columns"] == {"parent": "parent", "child": "child", "time": "time"}
    assert "Columns left alone: source." in found["notes"]
    assert without_file(found) == without_file(figures(FOREST))


def test_standard_input_is_a_file_too(figures):
    done = CliRunner().invoke(app, ["viral", "edges", "-", "--json"], input=gzip.compress(FOREST.encode()))
    assert done.exit_code == 0, done.output
    assert without_file(json.loads(done.stdout)) == without_file(figures(FOREST))


def test_days_by_number_are_times(figures):
    # 1.5 and 18.5 days; c is said to have joined a day before a.
    found = figures(",a,0\na,b,1.5\na,c,-1\nb,d,2e1\n")
    assert found["times"] == {"kind": "days", "first": -1.0, "last": 20.0, "users_with": 4}
    assert found["cycle_time"] == {
        "median": pytest.approx(10),
        "p90": pytest.approx(16.8),
        "measured": 2,
        "out_of_order": 1,
        "untimed": 0,
    }


def test_seconds_taken_for_days_are_noticed(told):
    assert "numbers are days; divide seconds by 86400" in told(",a,1704067200\na,b,1711929600\n").stdout
    assert "divide seconds" not in told(",a,19000\na,b,20000\n").stdout


def test_times_of_several_zones_are_one_time(figures):
    cycle = figures("parent,child,time\n,a,2024-01-01T12:00:00+02:00\na,b,2024-01-01 11:00\n")["cycle_time"]
    assert cycle["median"] == pytest.approx(1 / 24)


BAD = (
    b"parent,child,time\n"
    b",a,2024-01-01\n"
    b"a,b,31.12.2024\n"
    b"a,,2024-01-02\n"
    b"a,c,5\n"
    b"a,d,2024-01-03,x\n"
    b"a,\xff,2024-01-03\n"
    b'a,"e,2024-01-03\n'
    b"parent,child,time\n"
    b"a,f,2024-02-30\n"
    b"a,g,now\n"
    b"a,h,nan\n"
    b"a,i,2024-01-04\n"
)


def test_a_bad_line_is_told_and_the_good_ones_beside_it_count(told, folder):
    """One bad line must cost neither the report nor, by a stray quote, the lines after it."""
    done = told(BAD)
    assert done.exit_code == 0
    assert [row for row in rows_of(done.stdout) if row[:2] == ["0", "1"]] == [["0", "1", "2", "2.0000"]]
    file = folder / "edges.csv"
    said = done.stderr.splitlines()
    doubled = 'close it, or write a quote within a quoted cell as ""'
    expected = "no time: write 2024-12-31, 2024-12-31T10:00:00Z, or a number of days"
    assert said == [
        f"{file}, line 3, time: '31.12.2024': {expected}",
        f"{file}, line 4, child: '': no child: put the id of the user who joined there, or drop the line",
        f"{file}, line 5, time: '5': a number, but times are read as dates here: write all in one way",
        f"{file}, line 6: 'a,d,2024-01-03,x': columns: 4, expected 3: put a cell that contains the separator in quotes",
        rf"{file}, line 7: 'a,\udcff,2024-01-03': not UTF-8 text: save the file in UTF-8",
        f"{file}, line 8: 'a,\"e,2024-01-03': a quote that does not end: {doubled}",
        f"{file}, line 9: 'parent,child,time': the header once more: drop the line",
        f"{file}, line 10, time: '2024-02-30': {expected}",
        f"{file}, line 11, time: 'now': {expected}",
        f"{file}: lines left out: 9",
    ]


def test_of_many_problems_ten_are_told_and_all_are_counted(told, figures):
    content = "a,b\n" + "x,\n" * 5000
    done = told(content)
    assert done.exit_code == 0
    assert len(done.stderr.splitlines()) == 11
    assert done.stderr.endswith("lines left out: 5,000\n")
    found = figures(content)
    assert (found["lines"], found["lines_left_out"], len(found["problems"])) == (5001, 5000, 10)


def test_neither_kind_of_time_is_mixed_with_the_other(figures):
    """A day number beside dates would be a join in 1970."""
    found = figures(",a,1\na,b,2\na,c,2024-01-01\n")
    assert (found["times"]["kind"], found["lines_left_out"]) == ("days", 1)
    evenly = figures("a,b,1\na,c,2024-01-01\n")
    assert (evenly["times"]["kind"], evenly["lines_left_out"], evenly["referred"]) == ("dates", 1, 1)


def test_control_codes_of_a_file_do_not_reach_the_terminal(told):
    done = told("a,b\n\x1b[2Ja,\x1b[2Ja\na,\x1b[31m" + "x" * 100_000 + ",,\n")
    assert done.exit_code == 0
    assert r"for example \x1b[2Ja -> \x1b[2Ja" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    assert len(done.stderr) < 1000


def test_edges_that_break_the_forest_are_refused_with_their_reason(told, figures):
    """A brought B brought A: an endless loop, or a tree without a root."""
    content = "a,b,2\nb,a,1\na,c,3\na,c,4\nb,c,5\nz,z,1\ny,y,1\nx,x,1\n"
    refused = {one["reason"]: one for one in figures(content)["refused"]}
    assert {reason: one["edges"] for reason, one in refused.items()} == {
        "cycle": 1,
        "repeated": 1,
        "second_parent": 1,
        "self": 3,
    }
    assert refused["cycle"]["examples"] == [{"child": "a", "parent": "b", "reason": "cycle"}]
    assert [one["child"] for one in refused["self"]["examples"]] == ["x", "y"]
    printed = told(content).stdout
    assert "edges refused as cycle: 1, for example b -> a\n" in printed
    assert "edges refused as self: 3, for example x -> x; y -> y\n" in printed


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"parent,child,time\n", "there is nothing below the header"),
        (b"parent,child\n,a\n,b\n", "lines without a parent: 2"),
        (b"a,a\nb,b\n", "edges refused as self: 2"),
        (b"parent,child,time\na,b,soon\n", "lines that cannot be read: 1"),
        (b"one\ntwo\n", "neither here nor below are there two columns"),
        (b"inviter,friend,date\na,b,2024-01-01\n", "does not name child: call the columns parent, child"),
        (b"from,source,to\na,b,c\n", "names parent more than once (from and source)"),
        (FOREST.encode("utf-16"), "is UTF-16: save it as CSV in UTF-8"),
        (gzip.compress(FOREST.encode())[:-20], "gzip that cannot be unpacked"),
    ],
    ids=["empty", "blank", "header", "seeds", "selves", "times", "words", "names", "twice", "utf-16", "cut gzip"],
)
def test_with_nothing_to_report_it_fails_and_says_why(told, content, why):
    """A report of zeros would look like a spread that died."""
    done = told(content)
    assert (done.exit_code, done.stdout) == (1, "")
    assert why in done.stderr
    assert "edges.csv" in done.stderr


def test_a_file_that_is_not_there_is_wrong_usage(folder):
    for path in (folder / "missing.csv", folder):
        done = CliRunner().invoke(app, ["viral", "edges", str(path)])
        assert (done.exit_code, done.stdout) == (2, "")
        assert "FILE" in done.stderr


def test_json_is_json(told):
    """Infinity, which Python writes, is none: jq and every browser would refuse the whole report."""

    def refuse(constant):
        raise AssertionError(constant)

    done = told("a,b\nc,d\n", "--json")
    found = json.loads(done.stdout, parse_constant=refuse)
    seeds, after, _ = found["spread"]
    assert (seeds["dispersion"], seeds["dispersion_high"], seeds["is_poisson"]) == (None, None, True)
    assert (after["dispersion"], after["is_poisson"], after["share_for_80"]) == (None, False, None)


def test_deep_trees_do_not_fill_the_screen(told, figures):
    content = "".join(f"u{number},u{number + 1}\n" for number in range(5000))
    assert len(told(content).stdout.splitlines()) < 60
    assert "and so on to generation 5,000" in told(content).stdout
    assert len(figures(content)["generations"]) == 5001


def said(path, rows):
    """The report on these (parent, child, time), or why there is none."""
    path.write_text("parent,child,time\n" + "".join(f"{','.join(row)}\n" for row in rows))
    try:
        return as_json(report(read_edges(path)))
    except EdgeListError as error:
        return str(error)


@DRAWN
@given(ROWS.filter(lambda rows: any(at for _, _, at in rows)), st.randoms())
def test_with_times_the_order_of_lines_changes_nothing(folder, rows, mixing):
    mixed = mixing.sample(rows, len(rows))
    assert said(folder / "one.csv", mixed) == said(folder / "one.csv", rows)


@DRAWN
@given(ROWS)
def test_every_line_and_user_is_counted_once(folder, rows):
    found = said(folder / "one.csv", rows)
    if isinstance(found, str):
        return
    edges = sum(bool(parent) for parent, _, _ in rows)
    assert found["referred"] + sum(one["edges"] for one in found["refused"]) == edges
    assert found["users"] == sum(one["users"] for one in found["generations"])
    assert found["seeds"] == sum(found["trees"]["trees_by_size"].values())
    seeds, after, everybody = found["spread"]
    assert seeds["brought"] + after["brought"] == everybody["brought"] == found["referred"]
    assert found["trees"]["amplification"] == pytest.approx(found["trees"]["mean"])
    assert math.isclose(found["k_pooled"], found["referred"] / found["users"])


@DRAWN
@given(st.one_of(st.binary(max_size=200), st.text(alphabet='ab,;\t"\n\r 12-.é\0\u2028', max_size=200).map(str.encode)))
def test_no_file_ends_in_a_traceback_or_loses_a_line(folder, content):
    path = folder / "any"
    path.write_bytes(content)
    try:
        edges = read_edges(path)
    except EdgeListError:
        return
    with suppress(EdgeListError):
        report(edges)
    if not content.startswith(b"\x1f\x8b"):
        text = content.decode(errors="replace").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        lines = sum(bool(line.strip()) for line in text.split("\n"))
        assert len(edges.children) + len(edges.problems) == lines - (edges.columns is not None)


def test_it_needs_no_warehouse_and_costs_other_commands_nothing(folder, tmp_path):
    """A server started for a look at a file; a second more for each `marketing --help`."""
    path = folder / "real.csv"
    path.write_text(FOREST)
    script = (
        "import sys, orchestration.cli as cli\n"
        "assert not {'scipy', 'pandas', 'orchestration.viral.edges'} & set(sys.modules)\n"
        "cli.main()"
    )
    environ = {**os.environ, "MARKETING_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", script, "viral", "edges", str(path)]
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "users: 10, seeds: 3, referred: 7" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.soak
@pytest.mark.timeout(120)
def test_a_million_edges_take_seconds(folder):
    draw = random.Random(4)
    path = folder / "million.csv"
    with path.open("w") as file:
        file.write("parent,child,time\n")
        for user in range(1_000_000):
            parent = f"user{int(user * draw.random() ** 2)}" if user and draw.random() < 0.7 else ""
            file.write(f"{parent},user{user},2024-{1 + user // 100_000:02}-01T00:{user // 20_000:02}:00Z\n")
    found = report(read_edges(path))
    assert found.users == found.lines == 1_000_000
