"""`marketing explain`, `recalibrate`, `calibration`: why a conversion is credited as it is, and by what parameters."""

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from orchestration.installation import Installation
from orchestration.warehouse import calibrations as ledger
from orchestration.warehouse.calibrations import Calibration
from orchestration.warehouse.explanation import Explanation, why_unknown
from orchestration.warehouse.explanation import explain as read_explanation

from .printing import DEFAULT_WAIT_SECONDS, FAILED, cell, plain, show, table, tell

app = typer.Typer(no_args_is_help=True, help="Calibrations of data-driven attribution.")


def explain(
    conversion_id: Annotated[str, typer.Argument(metavar="CONVERSION_ID")],
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Show a conversion's journey, what each model gives each touch, and which touches were left out and why."""
    installation = Installation.load()
    policy = installation.policy
    with installation.warehouse.connect() as connection:
        found = read_explanation(
            connection,
            conversion_id,
            lookback=timedelta(days=policy.attribution_lookback_days),
            is_cut=policy.attribution_journey_scope == "since_previous_conversion",
        )
        if found is None:
            why = why_unknown(connection, conversion_id)
            tell(f"conversion {conversion_id} is credited by no published build: {why}")
            raise typer.Exit(FAILED)
        known = {one.calibration_id: one for one in ledger.calibrations(connection)}
    # Its own, which a later promotion may have replaced meanwhile.
    calibration = known[found.credited[0]["calibration_id"]]
    if as_json:
        in_force = {
            "calibration_id": calibration.calibration_id,
            "method": calibration.method,
            "parameters": calibration.parameters,
            "weights": calibration.weights,
        }
        typer.echo(json.dumps({"calibration": in_force, **vars(found)}, indent=2, default=plain))
        return
    _show_explanation(found, calibration)


def _show_explanation(found: Explanation, calibration: Calibration) -> None:
    conversion = found.credited[0]
    typer.echo(
        f"{conversion['conversion_type']} of {conversion['person_id']} at {_at(conversion['converted_at'])}, "
        f"{conversion['revenue_cents'] / 100:,.2f} net; touches count from {_at(found.window_start_at)} on"
    )
    typer.echo(f"data_driven: calibration {calibration.calibration_id}, {_method(calibration)}")
    models = [column.removesuffix("_credit") for column in conversion if column.endswith("_credit")]
    names = [model.replace("_", " ") for model in models]
    rows = table("touch", "at", "channel", "campaign", *names, right=tuple(names))
    for row in found.credited:
        credits = (
            f"{row[f'{model}_credit'] * 100:.1f} % {row[f'{model}_revenue_cents'] / 100:,.2f}" for model in models
        )
        touched = "-" if row["touched_at"] is None else _at(row["touched_at"])
        rows.add_row(
            *map(cell, (row["touchpoint_id"] or "none", touched, row["channel"], row["campaign_id"])), *credits
        )
    show(rows)
    if not found.left_out:
        typer.echo("no touch near it was left out")
        return
    typer.echo("left out:")
    rows = table("touch", "at", "channel", "campaign", "why")
    for row in found.left_out:
        at = _at(row["touched_at"])
        rows.add_row(*map(cell, (row["touchpoint_id"], at, row["channel"], row["campaign_id"], row["reason"])))
    show(rows)


def _told(figure: float | None, decimals: int) -> str:
    return "-" if figure is None else f"{figure:.{decimals}f}"


def _at(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _method(calibration: Calibration) -> str:
    if calibration.method == "policy":
        return "the policy's position weights"
    given = ("markov_order", "half_life_days", "first_weight", "last_weight")
    parameters = [
        f"{name.replace('_', ' ')} {calibration.parameters[name]}" for name in given if name in calibration.parameters
    ]
    return ", ".join([calibration.method, *parameters])


def recalibrate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="store and promote nothing")] = False,
    wait: Annotated[float, typer.Option(min=0, help="seconds to wait for a build")] = DEFAULT_WAIT_SECONDS,
) -> None:
    """Look for a calibration that attributes better than the one in force, and promote it when it does."""
    from orchestration.attribution.recalibration import NothingNewError, RecalibrationError
    from orchestration.attribution.recalibration import recalibrate as run

    installation = Installation.load()
    try:
        done = run(
            installation.warehouse,
            installation.policy,
            requested_by="marketing recalibrate",
            dry_run=dry_run,
            wait_seconds=wait,
            tell=tell,
        )
    except NothingNewError as error:
        typer.echo(str(error))
        return
    except RecalibrationError as error:
        tell(str(error))
        raise typer.Exit(FAILED) from error
    rows = table("best of each method", "accuracy where it was chosen", right=("accuracy where it was chosen",))
    for one in done.choice.scored:
        rows.add_row(one.parameters.name, f"{one.accuracy:.4f}")
    show(rows)
    typer.echo(str(done))


@app.command("list")
def list_calibrations() -> None:
    """List calibrations, newest first: what each was judged to be worth, and which is in force."""
    with Installation.load().warehouse.connect() as connection:
        found = ledger.calibrations(connection)
    figures = ("accuracy", "against", "AUC", "build s")
    rows = table("id", "state", "method", *figures, "judged on", "asked for by", "at", right=("id", *figures))
    for one in found:
        judged = one.scores.get("judged_on", {})
        state = "in force" if one.in_force else "promoted before" if one.promoted_at else "not promoted"
        rows.add_row(
            str(one.calibration_id),
            f"[green]{state}[/]" if one.in_force else state,
            _method(one),
            f"{judged['candidate']['accuracy']:.3f}" if judged else "-",
            f"{judged['in_force']['accuracy']:.3f} of {judged['in_force']['calibration_id']}" if judged else "-",
            _told(one.scores.get("prediction", {}).get("auc"), 3),
            _told(one.build_seconds, 1),
            f"{one.judged_from_on} to {one.judged_to_on}" if one.judged_from_on else "-",
            cell(one.requested_by),
            f"{one.created_at.astimezone(UTC):%Y-%m-%d %H:%M}",
        )
    show(rows)


@app.command()
def promote(
    calibration_id: Annotated[int, typer.Argument(metavar="ID")],
    reason: Annotated[str, typer.Option(help="why, for those who come after")] = "asked for",
) -> None:
    """Put a calibration in force: the next build credits every conversion by it."""
    with Installation.load().warehouse.connect() as connection, connection.transaction():
        is_new = ledger.promote(connection, calibration_id, requested_by="marketing calibration promote", reason=reason)
    told = "comes into force with the next build: marketing build" if is_new else "is in force already"
    tell(f"calibration {calibration_id} {told}")


@app.command()
def revert(
    reason: Annotated[str, typer.Option(help="why, for those who come after")] = "asked for",
) -> None:
    """Put back the calibration that was in force before: the next build credits every conversion by it."""
    with Installation.load().warehouse.connect() as connection, connection.transaction():
        before = ledger.revert(connection, requested_by="marketing calibration revert", reason=reason)
    tell(f"calibration {before} comes into force again with the next build: marketing build")
