{{
    config(
        materialized='incremental',
        incremental_strategy='replace_affected',
        on_schema_change='fail',
        meta={
            'affected': {'relation': 'int_path_keys_affected', 'key': ['path_sha256']},
        },
        indexes=[{'columns': ['path_sha256'], 'unique': true}],
    )
}}
{%- set affected = ref('int_path_keys_affected') %}

with

counts as (

    select * from {{ ref('int_path_counts') }}
    where
        conversions + non_conversions > 0
        {% if is_incremental() %}
            and path_sha256 in (select changed.path_sha256 from {{ affected }} as changed)
        {% endif %}

)

select
    path_sha256,
    path,
    '{{ policy("attribution_path_transform") }}' as path_transform,
    conversions,
    non_conversions,
    revenue_cents
from counts
