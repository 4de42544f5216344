"""The stages of a refresh as Dagster shows them, without ingest: the raw assets are there by name alone."""

from datetime import datetime

import dagster as dg

from orchestration.attribution.defs import attribution_definitions, refresh_fits
from orchestration.ingest.records import FEEDS
from orchestration.policy import Policy
from orchestration.quality.defs import marts_freshness, quality_definitions, refresh_checks
from orchestration.transform.defs import transform_definitions
from orchestration.transform.project import Project
from orchestration.viral.defs import refresh_spread, viral_definitions
from orchestration.warehouse import Warehouse
from tests.engine import ROOT


def refresh_definitions(warehouse: Warehouse, policy: Policy, as_of: datetime) -> dg.Definitions:
    """Everything that the refresh job needs."""
    return dg.Definitions.merge(
        dg.Definitions(assets=[dg.AssetSpec(["raw", feed]) for feed in FEEDS], executor=dg.in_process_executor),
        quality_definitions(warehouse, policy),
        attribution_definitions(warehouse, policy, may_ask=True),
        viral_definitions(warehouse, may_ask=True),
        transform_definitions(
            warehouse,
            Project(ROOT, warehouse.home),
            policy,
            as_of=as_of,
            others=refresh_checks(policy) | refresh_fits() | refresh_spread(),
            freshness=marts_freshness(policy),
            may_ask=True,
        ),
    )
