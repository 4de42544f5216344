{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['campaign_id', 'recipient_key'],
        indexes=[{'columns': ['campaign_id', 'recipient_key'], 'unique': true}],
        post_hook=[{'sql': '{{ settle_table() }}', 'transaction': false}],
    )
}}
{%- set arrived = new_loads('campaign_events') %}
{%- set facts = ['sent', 'delivered', 'bounced', 'opened', 'clicked', 'unsubscribed', 'complained'] %}

with

events as (

    select * from {{ ref('stg_campaign_events') }}
    {% if is_incremental() %}
        where load_id in ({{ arrived }})
    {% endif %}

),

-- The first time of each fact. The earliest of what was known and what is new is the earliest of all,
-- so a build reads only its new events.
first_times as (

    select
        campaign_id,
        recipient_key,
        {% for fact in facts %}
            min(occurred_at) filter (where event_type = '{{ fact }}') as {{ fact }}_at{{ ',' if not loop.last }}
        {% endfor %}
    from events
    group by
        campaign_id,
        recipient_key

),

merged as (

    select
        first_times.campaign_id,
        first_times.recipient_key,
        {% for fact in facts %}
            {% if is_incremental() %}
                least(first_times.{{ fact }}_at, known.{{ fact }}_at) as {{ fact }}_at{{ ',' if not loop.last }}
            {% else %}
                first_times.{{ fact }}_at{{ ',' if not loop.last }}
            {% endif %}
        {% endfor %}
    from first_times
    {% if is_incremental() %}
        left join {{ this }} as known
            on
                first_times.campaign_id = known.campaign_id
                and first_times.recipient_key = known.recipient_key
    {% endif %}

)

select * from merged
