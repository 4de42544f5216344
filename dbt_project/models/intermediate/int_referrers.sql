{{
    config(
        materialized='incremental',
        incremental_strategy='replace_affected',
        meta={'affected': {'relation': 'int_referrers_affected', 'key': ['user_id']}},
        indexes=[{'columns': ['user_id'], 'unique': true}],
        post_hook=[
            "{{ ensure_index('all_credited_joins', where='all_credited_joins >= ' ~ policy('super_connector_threshold')) }}",
            {'sql': '{{ settle_table() }}', 'transaction': false},
        ],
    )
}}
{%- set affected = ref('int_referrers_affected') %}
{%- set counts = [
    'all_invites', 'all_credited_joins', 'all_net_joins', 'invites', 'opened_invites', 'credited_joins', 'net_joins'
] %}

with

by_channel as (

    select * from {{ ref('int_referrers_by_channel') }}
    {% if is_incremental() %}
        where user_id in (select changed.user_id from {{ affected }} as changed)
    {% endif %}

)

select
    user_id,
    {% for count in counts %}
        sum({{ count }})::bigint as {{ count }}{{ ',' if not loop.last }}
    {% endfor %}
from by_channel
group by user_id
