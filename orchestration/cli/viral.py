"""`marketing viral`: what referral data says, the user's own or anybody's."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .printing import FAILED, show, table, tell

if TYPE_CHECKING:
    from orchestration.viral.edges import EdgeReport, Problem, Spread

app = typer.Typer(no_args_is_help=True, help="Referral trees and the viral coefficient.")

SHOWN_GENERATIONS = 20


@app.callback()
def viral() -> None:
    """Keep the name of the one command."""


def _readable(path: Path) -> Path:
    # Typer's own exists=True takes the dash for a file.
    if path != Path("-") and (not path.exists() or path.is_dir()):
        raise typer.BadParameter(f"{path} is {'a folder' if path.is_dir() else 'not there'}: expected a file of edges")
    return path


@app.command()
def edges(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            callback=_readable,
            help="edges as CSV: parent,child[,time], with a header or in that order; .gz too; - for standard input",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Show K with seeds apart, generations, tree sizes and dispersion of any edge list; no warehouse is needed."""
    # Takes a second to import, which other commands need not wait for.
    from orchestration.viral.edges import SHOWN_PROBLEMS, EdgeListError, read_edges, report
    from orchestration.viral.edges import as_json as for_programs

    try:
        found = read_edges(path)
        for problem in found.problems[:SHOWN_PROBLEMS]:
            tell(_problem(found.source, problem))
        if found.problems:
            tell(f"{found.source}: lines left out: {len(found.problems):,}")
        told = report(found)
    except EdgeListError as error:
        tell(str(error))
        raise typer.Exit(FAILED) from error
    if as_json:
        typer.echo(json.dumps(for_programs(told), indent=2))
        return
    _show(told)


def _problem(source: str, problem: "Problem") -> str:
    field = f", {problem.field}" if problem.field else ""
    return f"{source}, line {problem.line}{field}: '{problem.value}': {problem.reason}"


def _show(told: "EdgeReport") -> None:
    typer.echo(f"users: {told.users:,}, seeds: {told.seeds:,}, referred: {told.referred:,}; {_read_as(told)}")
    _show_refused(told)
    typer.echo()
    _show_spread(told)
    typer.echo()
    _show_generations(told)
    typer.echo()
    _show_trees(told)
    typer.echo()
    typer.echo(_cycle_time(told))
    for note in told.notes:
        typer.echo(note)


def _read_as(told: "EdgeReport") -> str:
    named = told.columns or {}
    columns = [name if given.casefold() == name else f"{name} from {given}" for name, given in named.items()]
    read = f"lines: {told.lines:,}" + (f", columns {', '.join(columns)}" if columns else "")
    if told.times is None:
        return read
    first, last = (f"day {at:,.10g}" if isinstance(at, float) else at for at in (told.times.first, told.times.last))
    return f"{read}; joined from {first} to {last}"


def _show_refused(told: "EdgeReport") -> None:
    from orchestration.viral.edges import shown

    for one in told.refused:
        examples = "; ".join(f"{shown(edge.parent)} -> {shown(edge.child)}" for edge in one.examples)
        typer.echo(f"edges refused as {one.reason.replace('_', ' ')}: {one.edges:,}, for example {examples}")


def _show_spread(told: "EdgeReport") -> None:
    figures = ("users", "brought", "K", "dispersion k", "95 % interval", "80 % by", "K less top 1 %", "outbreak")
    rows = table("group", *figures, right=figures)
    for one in told.spread:
        rows.add_row(
            one.group,
            f"{one.users:,}",
            f"{one.brought:,}",
            f"{one.realised_k:.4f}",
            _dispersion(one),
            _interval(one),
            _percent(one.share_for_80),
            "-" if one.k_without_top is None else f"{one.k_without_top:.4f}",
            f"{one.outbreak:.4f}",
        )
    show(rows)
    everybody = told.spread[-1]
    typer.echo(
        f"80 % of all joins come from {_percent(everybody.share_for_80)} of all users, "
        f"{_percent(everybody.share_for_80 * everybody.users / everybody.inviters)} of the "
        f"{everybody.inviters:,} who brought anybody."
    )
    typer.echo(
        "Seeds are apart because nobody brought them: their K says how well the spread starts, K after seeds how well "
        "it goes on; mixed, they say neither."
    )
    typer.echo(
        "Outbreak: probability that the spread from one user never dies out, if all were like that group. After seeds "
        "and of all, K is below 1 in every list that ends, whoever is in it, so there it is 0: look at K by generation."
    )


def _dispersion(one: "Spread") -> str:
    if one.dispersion is None:
        return "-"
    return "Poisson" if one.is_poisson else f"{one.dispersion:.3g}"


def _interval(one: "Spread") -> str:
    if one.dispersion is None:
        return "-"
    high = f"to {one.dispersion_high:.3g}" if one.dispersion_high != float("inf") else "and above"
    return f"{one.dispersion_low:.3g} {high}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share * 100:.2f} %"


def _show_generations(told: "EdgeReport") -> None:
    figures = ("generation", "users", "brought", "realised K")
    rows = table(*figures, right=figures)
    for one in told.generations[:SHOWN_GENERATIONS]:
        rows.add_row(f"{one.generation}", f"{one.users:,}", f"{one.brought:,}", f"{one.realised_k:.4f}")
    show(rows)
    if len(told.generations) > SHOWN_GENERATIONS:
        typer.echo(f"and so on to generation {told.generations[-1].generation:,}: --json has them all")


def _show_trees(told: "EdgeReport") -> None:
    from orchestration.viral.edges import shown

    trees = told.trees
    sizes = table("tree size", "trees", "share", right=("trees", "share"))
    for name, number in trees.trees_by_size.items():
        sizes.add_row(name, f"{number:,}", _percent(number / told.seeds))
    show(sizes)
    typer.echo(
        f"mean {trees.mean:,.4f}, median {trees.median:,.1f}, p90 {trees.p90:,.1f}, largest {trees.largest:,} "
        f"(from {shown(trees.largest_seed)}), deepest {trees.depth:,} generations"
    )
    typer.echo(f"check: 1 / (1 - K of all) = {trees.amplification:,.4f}, mean tree size {trees.mean:,.4f}")


def _cycle_time(told: "EdgeReport") -> str:
    time = told.cycle_time
    if time is None:
        return "cycle time: needs times, and the list has none"
    left_out = f"left out: {time.out_of_order:,} who joined before their parent, {time.untimed:,} without both times"
    if time.median is None:
        return f"cycle time: no edge has the times of both; {left_out}"
    figures = f"median {_duration(time.median)}, p90 {_duration(time.p90)}, from {time.measured:,} edges"
    return f"cycle time: {figures}; {left_out}"


def _duration(days: float) -> str:
    if days >= 1:
        return f"{days:,.2f} days"
    hours = days * 24
    return f"{hours:.2f} hours" if hours >= 1 else f"{hours * 60:.2f} minutes"
