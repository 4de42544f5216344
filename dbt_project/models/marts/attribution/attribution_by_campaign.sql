{{
    config(
        materialized='incremental',
        tags=['credit'],
        incremental_strategy='replace_affected',
        on_schema_change='fail',
        meta={
            'affected': {'relation': 'int_attribution_days_affected', 'key': ['date']},
        },
        indexes=[{'columns': ['date']}],
    )
}}

{{ attribution_by('campaign_id') }}
