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

with

events as (

    select
        campaign_id,
        recipient_key,
        variant_id,
        occurred_at as named_at,
        event_id
    from {{ ref('stg_campaign_events') }}
    where
        variant_id is not null
        {% if is_incremental() %}
            and load_id in ({{ arrived }})
        {% endif %}

),

{% if is_incremental() %}

    recipients as (

        select distinct
            campaign_id,
            recipient_key
        from events

    ),

{% endif %}

-- The first of what was known and what is new is the first of all, so a build reads only its new events.
named as (

    select * from events
    {% if is_incremental() %}
        union all
        select
            known.campaign_id,
            known.recipient_key,
            known.variant_id,
            known.named_at,
            known.event_id
        from recipients
        inner join {{ this }} as known
            on
                recipients.campaign_id = known.campaign_id
                and recipients.recipient_key = known.recipient_key
    {% endif %}

),

assigned as (

    select distinct on (campaign_id, recipient_key) *
    from named
    order by
        campaign_id,
        recipient_key,
        named_at,
        {{ by_code_point('event_id') }}

)

select * from assigned
