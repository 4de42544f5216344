"""`marketing alerts`: what rules say, why, and what people were told; silences and acknowledgements."""

import getpass
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Annotated

import typer

from orchestration.alerts.alerting import Alerting, alerting
from orchestration.alerts.check import Links, look
from orchestration.alerts.delivery import Sent, trial_messages
from orchestration.alerts.evaluation import Sample, State, verdict_of
from orchestration.alerts.rounds import go_round
from orchestration.alerts.routing import Silence
from orchestration.alerts.rules import Rule, RulesError, duration
from orchestration.alerts.sender import Sender
from orchestration.installation import Installation
from orchestration.warehouse import alerts as stored
from orchestration.warehouse.metric_samples import newest_sample, samples

from .printing import FAILED, NOTHING, cell, must_be_on, show, table, tell, visible

app = typer.Typer(no_args_is_help=True, help="Rules on numbers and on the engine: what they say, and whom they told.")
# Between two samples a minute passes; a slow one more.
FRESH = timedelta(minutes=5)
LONGEST_SILENCE = timedelta(days=366)
STYLES = {
    State.FIRING: "red",
    State.PENDING: "yellow",
    State.RECOVERING: "yellow",
    State.NO_DATA: "yellow",
    State.STALE: "yellow",
    State.ERROR: "red",
    State.SILENCED: "dim",
    State.INACTIVE: "green",
}
Author = Annotated[str | None, typer.Option(help="who does it [default: this user]")]


def monitor(
    only_check: Annotated[
        bool, typer.Option("--check", help="only say whether one is at work: exit code 1 without a fresh sample")
    ] = False,
) -> None:
    """Take a sample of every metric each minute, and watch those who judge, until Ctrl-C: part of `marketing up`."""
    from orchestration.alerts.monitor import monitor as run
    from orchestration.alerts.monitor import unwatched
    from orchestration.alerts.outage import Watch

    installation, stop = Installation.load(), Event()
    if only_check:
        with installation.warehouse.connect() as connection:
            now = datetime.now(UTC)
            newest = newest_sample(connection, now)
        fresh = newest is not None and now - newest < FRESH
        typer.echo(f"newest sample: {_at(newest)}")
        raise typer.Exit(0 if fresh else FAILED)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_received: stop.set())
    watch: Callable[[datetime, str | None], None] = unwatched
    if installation.settings.marketing_automation_enabled:
        try:
            watch = Watch(installation.warehouse, installation.policy, installation.alert_addresses, tell)
        except RulesError as error:
            # What is measured needs no contacts, and a minute without a sample counts as down.
            tell(f"nobody watches those who judge until the monitor is started again:\n{error}")
    run(installation.warehouse, installation.policy, stop, tell, watch=watch)


@app.command("check")
def check() -> None:
    """Measure, judge every rule, and tell what changed: what `make up` does unattended."""
    installation = Installation.load()
    must_be_on(installation.settings, "nothing is sent")
    found = go_round(
        installation.warehouse,
        _alerting(installation),
        installation.policy,
        measures=True,
        links=Links(installation.ui),
        tell=_tell,
    )
    for told in found.look.due:
        typer.echo(f"{told.incident.rule}: {told.reason.value} to {', '.join(told.channels)}")
    typer.echo(f"{found.samples} new samples, {found.sent} messages taken")


@app.command("list")
def list_rules() -> None:
    """Every rule, its state, its latest sample, and the incident that is open."""
    installation = Installation.load()
    known = _alerting(installation)
    now = datetime.now(UTC)
    with installation.warehouse.connect() as connection:
        found = look(connection, known.rules, known.contacts, now, resting=known.resting)
        quiet = [Silence(**row) for row in stored.silences(connection, now)]
        open_ones = [row for row in stored.unsettled_incidents(connection) if row["closed_at"] is None]
    rows = table("rule", "state", "since", "value", "fires", "severity", "channels", "incident", right=("value",))
    for rule in known.rules:
        told, state = found.evaluations[rule.name], found.state(rule.name)
        incidents = [
            f"{row['incident_id']}{' (acknowledged)' if row['acknowledged_at'] else ''}"
            for row in open_ones
            if row["rule"] == rule.name
        ]
        rows.add_row(
            rule.name,
            f"[{STYLES[state]}]{state.value}[/]",
            _at(told.since),
            _value(told.latest),
            f"{rule.comparison} {rule.threshold:g}",
            rule.severity.value,
            ", ".join(rule.channels),
            ", ".join(incidents) or NOTHING,
        )
    show(rows)
    if known.resting:
        typer.echo(f"resting, since VIRAL_TRACKING_ENABLED is false: {', '.join(sorted(known.resting))}")
    for one in quiet:
        typer.echo(f"silence {one.silence_id}: {one.rule or 'all rules'} {_until(one)}")
    for row in open_ones:
        for other in found.explained.get(row["rule"], ()):
            typer.echo(f"incident {row['incident_id']} ({row['rule']}): nobody is told, since {other} explains it")
    if known.without_address:
        missing = ", ".join(sorted(known.without_address))
        typer.echo(f"no address of {missing}: their messages go to {installation.settings.marketing_home}/alerts/")


@app.command()
def explain(rule: Annotated[str, typer.Argument(metavar="RULE")]) -> None:
    """Why a rule is, or is not, firing: its samples, and what each says."""
    installation = Installation.load()
    known = _alerting(installation)
    one, now = _rule(known, rule), datetime.now(UTC)
    with installation.warehouse.connect() as connection:
        found = look(connection, known.rules, known.contacts, now, resting=known.resting)
        taken = [Sample(**row) for row in samples(connection, one.metric, now - one.looks_back, now)]
    told = found.evaluations[rule]
    typer.echo(f"{one.name}: {one.summary}")
    # What it is in, whoever hears of it or does not.
    typer.echo(f"{told.state.value} since {_at(told.since)}")
    for quiet in found.silences[rule]:
        typer.echo(f"nobody is told: silence {quiet.silence_id} {_until(quiet)}")
    for other in found.explained[rule]:
        typer.echo(f"nobody is told: {other} fires, which explains it")
    by = "its whole interval" if one.by_interval else "its value"
    typer.echo(
        f"fires when {one.metric} ({by}) has been {one.comparison} {one.threshold:g} for {one.for_}; over when "
        f"its value has been back at {one.clears_at:g} for {one.keep_firing}"
    )
    if one.min_sample or one.min_maturity:
        typer.echo(f"says too little below a sample of {one.min_sample:,} and a maturity of {one.min_maturity:g}")
    rows = table("at", "value", "low", "high", "sample", "maturity", "says", right=("value", "low", "high", "sample"))
    for sample in taken[-20:]:
        rows.add_row(
            _at(sample.at),
            _value(sample),
            _number(sample.low),
            _number(sample.high),
            NOTHING if sample.size is None else f"{sample.size:,}",
            _number(sample.maturity),
            verdict_of(one, sample).value + (f": {cell(sample.error)}" if sample.error else ""),
        )
    show(rows)
    typer.echo(f"{len(taken)} samples since {_at(now - one.looks_back)}; owner {one.owner}, runbook {one.runbook}")


@app.command()
def silence(
    rule: Annotated[str, typer.Argument(metavar="RULE|all")],
    how_long: Annotated[str, typer.Option("--for", help="how long: 30m, 6h, 2d")],
    reason: Annotated[str, typer.Option(help="why")],
    author: Author = None,
) -> None:
    """Tell nobody of a rule for a while, but of the end of what was told. What it finds is told later if it goes on."""
    installation = Installation.load()
    if rule != "all":
        _rule(_alerting(installation), rule)
    quiet_for = duration(how_long)
    if not quiet_for or quiet_for > LONGEST_SILENCE:
        raise typer.BadParameter(
            f"{how_long!r}: expected a duration such as 30m, 6h, 2d, of {LONGEST_SILENCE.days} days at most",
            param_hint="--for",
        )
    until = datetime.now(UTC) + quiet_for
    with installation.warehouse.connect() as connection:
        number = stored.silence(
            connection, None if rule == "all" else rule, until=until, author=author or getpass.getuser(), reason=reason
        )
    typer.echo(f"silence {number}: {rule} until {_at(until)}")


@app.command()
def unsilence(
    silence_id: Annotated[int, typer.Argument(metavar="SILENCE", help="its number, as `list` shows it")],
    author: Author = None,
) -> None:
    """End a silence before its time: what went on under it is told."""
    installation = Installation.load()
    with installation.warehouse.connect() as connection:
        if not stored.end_silence(connection, silence_id, author or getpass.getuser()):
            tell(f"silence {silence_id} does not hold: marketing alerts list shows those that do")
            raise typer.Exit(FAILED)
    typer.echo(f"silence {silence_id} is over")


@app.command("test")
def send_test(
    channels: Annotated[
        list[str] | None, typer.Argument(metavar="[CHANNEL]...", help="which [default: all that have an address]")
    ] = None,
) -> None:
    """Send a message that says it is a test, and its end, by each channel; exit code 1 when one was not taken."""
    installation = Installation.load()
    must_be_on(installation.settings, "nothing is sent")
    known = _alerting(installation).transports
    if unknown := sorted(set(channels or ()) - set(known)):
        raise typer.BadParameter(
            f"{', '.join(unknown)}: expected some of {', '.join(sorted(known))}, which have an address",
            param_hint="CHANNEL",
        )
    failed = False
    with Sender() as sender:
        for channel in channels or sorted(known):
            # Not the second where the first was not taken: of a limit that is reached it would be told once more.
            for message in trial_messages(channel, author=getpass.getuser(), now=datetime.now(UTC)):
                outcome = sender.send(known[channel], message)
                typer.echo(f"{channel}: {message.title}: {outcome.error or 'taken'}")
                if outcome.error is not None:
                    failed = True
                    break
    if failed:
        raise typer.Exit(FAILED)


@app.command()
def ack(
    incident: Annotated[int, typer.Argument(metavar="INCIDENT", help="its number, as `list` shows it")],
    author: Author = None,
) -> None:
    """Take an open incident on: it is neither repeated nor escalated any more."""
    installation = Installation.load()
    with installation.warehouse.connect() as connection:
        if not stored.acknowledge(connection, incident, author or getpass.getuser()):
            tell(f"incident {incident} is not open: marketing alerts list shows those that are")
            raise typer.Exit(FAILED)
    typer.echo(f"incident {incident} is acknowledged")


def _alerting(installation: Installation) -> Alerting:
    return alerting(installation.policy, installation.alert_addresses)


def _rule(known: Alerting, name: str) -> Rule:
    if name in known.resting:
        raise typer.BadParameter(f"{name} rests, since VIRAL_TRACKING_ENABLED is false", param_hint="RULE")
    if name not in known.by_name:
        raise typer.BadParameter(f"{name!r}: expected one of {', '.join(known.by_name)}", param_hint="RULE")
    return known.by_name[name]


def _tell(sent: Sent) -> None:
    message, outcome = sent.message, sent.outcome
    tell(f"{message.channel}: {message.title}: {outcome.error or 'taken'}")


def _until(silence: Silence) -> str:
    return visible(f"until {_at(silence.ends_at)}, by {silence.author}: {silence.reason}")


def _at(at: datetime | None) -> str:
    return NOTHING if at is None else f"{at:%Y-%m-%d %H:%M}"


def _value(sample: Sample | None) -> str:
    return NOTHING if sample is None else _number(sample.value)


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.4g}"
