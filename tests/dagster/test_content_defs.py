"""Content as Dagster shows it: a run only where there is work, obedient to the switch."""

from pathlib import Path

import dagster as dg

from orchestration.content.defs import JOB, content_definitions
from orchestration.warehouse import Warehouse
from tests.content_desk import campaigns, desk, drafts
from tests.openai_server import openai_server


def shown(warehouse: Warehouse, made, folder: Path, *, may_ask: bool = True) -> dg.Definitions:
    return content_definitions(warehouse, desk=lambda: made, folder=folder, to=lambda: None, may_ask=may_ask)


def asked(definitions: dg.Definitions) -> dg.RunRequest | dg.SkipReason:
    sensor = definitions.resolve_sensor_def("content_sensor")
    with dg.DagsterInstance.ephemeral() as instance:
        return sensor(dg.build_sensor_context(instance=instance))


def test_what_the_marts_name_is_written_unattended_and_once(warehouse: Warehouse, tmp_path: Path):
    with openai_server() as served:
        definitions = shown(warehouse, desk(served), tmp_path)
        assert asked(definitions).skip_message == "nothing is to be written"
        campaigns(warehouse, 2)
        assert asked(definitions).tags["marketing/reason"] == "2 opportunities"
        assert definitions.resolve_job_def(JOB).execute_in_process().success
        assert asked(definitions).skip_message == "nothing is to be written"
        assert len(served.requests) == 2
    assert {draft["status"] for draft in drafts(warehouse)} == {"pending_review"}


def test_switched_off_it_says_so(warehouse: Warehouse, tmp_path: Path):
    campaigns(warehouse, 2)
    definitions = shown(warehouse, desk(None), tmp_path, may_ask=False)
    assert asked(definitions).skip_message == "MARKETING_AUTOMATION_ENABLED is false"
