"""`marketing content`: what was written about what, and the judgement of people on it."""

import getpass
import json
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from orchestration.content.asking import ask_again
from orchestration.content.costs import dollars
from orchestration.content.exporting import export
from orchestration.content.working import work
from orchestration.installation import Installation
from orchestration.warehouse import content as stored
from orchestration.warehouse import content_drafts

from .printing import FAILED, NOTHING, cell, must_be_on, plain, say, show, table, tell

app = typer.Typer(no_args_is_help=True, help="Content that AI or templates wrote: review, approve, export.")


class Status(StrEnum):
    """What a draft is in."""

    PENDING_REVIEW = "pending_review"
    APPROVED = "approved"
    REJECTED = "rejected"
    PUBLISHED = "published"
    SUPERSEDED = "superseded"


STYLES = {
    Status.PENDING_REVIEW: "yellow",
    Status.APPROVED: "green",
    Status.REJECTED: "red",
    Status.PUBLISHED: "green",
    Status.SUPERSEDED: "dim",
}
Author = Annotated[str | None, typer.Option(help="who does it [default: this user]")]
DraftId = Annotated[int, typer.Argument(help="number of the draft: marketing content list")]


@app.command("run")
def run(
    most: Annotated[int | None, typer.Option("--limit", min=1, help="jobs to take [default: all due]")] = None,
) -> None:
    """Ask for content where the marts say it is needed, write what is due, export what is approved."""
    installation = Installation.load()
    must_be_on(installation.settings, "nothing is written or sent")
    found = work(
        installation.warehouse,
        installation.desk,
        datetime.now(UTC),
        folder=installation.content_folder,
        to=installation.sending_system,
        most=most,
        tell=say,
    )
    say(", ".join(f"{many} {what}" for what, many in found.as_dict().items()))


@app.command("list")
def list_drafts(
    status: Annotated[list[Status] | None, typer.Option(help="only of these [default: all]")] = None,
    most: Annotated[int, typer.Option("--limit", min=1, help="how many")] = 50,
    as_json_: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """The latest drafts, newest first."""
    with Installation.load().warehouse.connect() as connection:
        found = content_drafts.drafts(connection, [one.value for one in status or list(Status)], most)
    if as_json_:
        say(json.dumps(found, indent=2, default=plain))
        return
    if not found:
        say("No drafts. marketing content run writes them once marts.content_opportunities has rows.")
        return
    rows = table("draft", "about", "origin", "status", "subject", "why", right=("draft",))
    for draft in found:
        faults = ", ".join(dict.fromkeys(fault["code"] for fault in draft["faults"]))
        rows.add_row(
            str(draft["draft_id"]),
            cell(f"{draft['kind']} {draft['subject_id']}"),
            draft["origin"],
            f"[{STYLES[draft['status']]}]{draft['status']}[/]",
            cell(draft["subject"]),
            cell(faults or draft["reason"] or (draft["job_reason"] or "" if draft["origin"] == "template" else "")),
        )
    show(rows)


@app.command("jobs")
def list_jobs(most: Annotated[int, typer.Option("--limit", min=1, help="how many")] = 50) -> None:
    """The latest jobs, how they ended and what they cost."""
    with Installation.load().warehouse.connect() as connection:
        found = stored.jobs(connection, most)
    rows = table("job", "brief", "about", "model", "status", "US dollars", "why", right=("job", "brief", "US dollars"))
    for job in found:
        rows.add_row(
            str(job["job_id"]),
            str(job["brief_id"]),
            cell(f"{job['kind']} {job['subject_id']}"),
            cell(job["model"]),
            job["status"],
            dollars(job["cost_usd_micros"]),
            cell(job["reason"] or ""),
        )
    show(rows)


@app.command("show")
def show_draft(draft_id: DraftId) -> None:
    """One draft whole: the brief it answers, its text, and what is wrong with it."""
    draft = _draft(Installation.load(), draft_id)
    for name in ("draft_id", "variant_id", "status", "origin", "model", "prompt_version", "reason", "reviewed_by"):
        say(f"{name:16}{draft[name] if draft[name] is not None else NOTHING}")
    say(f"{'about':16}{draft['kind']} {draft['subject_id']}: {draft['brief']['goal']}")
    for fact in draft["brief"]["facts"]:
        say(f"{'':16}{fact['name']}: {fact['value']} ({fact['unit']})")
    for fault in draft["faults"]:
        say(f"{'fault':16}{fault['code']}: found {fault['found']}, expected {fault['expected']}")
    say(f"\nSubject: {draft['subject']}\nPreview: {draft['preview']}\n\n{draft['body']}")


@app.command("approve")
def approve(draft_id: DraftId, author: Author = None) -> None:
    """Let a draft be sent: it is exported with the next run, or by marketing content export."""
    _review(draft_id, "approved", author, None)


@app.command("reject")
def reject(draft_id: DraftId, reason: Annotated[str, typer.Option(help="why")], author: Author = None) -> None:
    """Keep a draft from being sent."""
    _review(draft_id, "rejected", author, reason)


@app.command("retire")
def retire(draft_id: DraftId, reason: Annotated[str, typer.Option(help="why")], author: Author = None) -> None:
    """Take a draft back that is approved or published: the sending system is told with the next run or export."""
    installation = Installation.load()
    with installation.warehouse.connect() as connection:
        retired = content_drafts.retire(connection, draft_id, author=author or getpass.getuser(), reason=reason)
    if not retired:
        draft = _draft(installation, draft_id)
        tell(f"draft {draft_id} is {draft['status']}: only one that is approved or published can be retired")
        raise typer.Exit(FAILED)
    say(f"draft {draft_id} is retired")


@app.command("rewrite")
def rewrite(brief_id: Annotated[int, typer.Argument(help="number of the brief: marketing content jobs")]) -> None:
    """Have a brief written to once more, by the prompt, model and parameters that are in force now."""
    installation = Installation.load()
    try:
        job_id = ask_again(installation.warehouse, installation.desk, brief_id)
    except KeyError:
        tell(f"there is no brief {brief_id}: marketing content jobs")
        raise typer.Exit(FAILED) from None
    if job_id is None:
        tell(f"brief {brief_id} was written to by this prompt, model and parameters before")
        raise typer.Exit(FAILED)
    say(f"job {job_id} is due: marketing content run")


@app.command("retry")
def retry(job_id: Annotated[int, typer.Argument(help="number of the job: marketing content jobs")]) -> None:
    """Let a job that was left to people, or whose drafts were no good, call the model again, and be paid for again."""
    with Installation.load().warehouse.connect() as connection:
        freed = stored.retry(connection, job_id)
    if not freed:
        tell(f"job {job_id} is none that was left to people or rejected")
        raise typer.Exit(FAILED)
    say(f"job {job_id} is due again: marketing content run")


@app.command("export")
def export_approved(
    folder: Annotated[Path | None, typer.Option("--dir", help="where to [default: MARKETING_HOME/content]")] = None,
) -> None:
    """Write what is approved into files, and post it to MARKETING_CONTENT_WEBHOOK_URL if there is one; take back what
    is retired."""
    installation = Installation.load()
    must_be_on(installation.settings, "nothing is written or sent")
    folder = folder or installation.content_folder
    found = export(installation.warehouse, folder, installation.sending_system, tell=say)
    say(f"{found.published} published in {folder}, {found.withdrawn} withdrawn")


def _review(draft_id: int, status: str, author: str | None, reason: str | None) -> None:
    installation = Installation.load()
    with installation.warehouse.connect() as connection:
        judged = content_drafts.review(
            connection, draft_id, status=status, author=author or getpass.getuser(), reason=reason
        )
    if not judged:
        draft = _draft(installation, draft_id)
        filed = ", and out" if draft["filed_at"] else ""
        tell(f"draft {draft_id} is {draft['status']}{filed}: only one that is pending_review can be {status}")
        raise typer.Exit(FAILED)
    say(f"draft {draft_id} is {status}")


def _draft(installation: Installation, draft_id: int) -> dict:
    with installation.warehouse.connect() as connection:
        found = content_drafts.draft(connection, draft_id)
    if found is None:
        tell(f"there is no draft {draft_id}: marketing content list")
        raise typer.Exit(FAILED)
    return found
