"""How dbt's nodes look in Dagster: one small method per question."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator

OWNERS = ["team:marketing-automation"]


class WarehouseTranslator(DagsterDbtTranslator):
    """Keys as in SQL, groups by layer, and no note on how dbt was told to build."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        return dg.AssetKey([dbt_resource_props["schema"], dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return dbt_resource_props["schema"]

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        return OWNERS

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return dbt_resource_props["description"].strip() or f"See {dbt_resource_props['original_file_path']}."
