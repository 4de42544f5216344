{{
    config(meta={
        'description': 'Whomever an event gives a variant counts for one, once: each variant was delivered to as many as count for it, all of a campaign and its one control to no more than the campaign was.',
        'dagster': {'ref': {'name': 'content_performance'}},
    })
}}
{%- set arrived = new_loads('campaign_events') %}

with

assigned as (

    select * from {{ ref('int_campaign_recipients_assigned') }}

),

told as (

    select * from {{ ref('content_performance') }}

),

-- Of the loads that are new to this build; of all in a full one.
named as (

    select distinct
        campaign_id,
        recipient_key
    from {{ ref('stg_campaign_events') }}
    where
        variant_id is not null
        {% if flags.WHICH == 'build' and is_delta() %}
            and load_id in ({{ arrived }})
        {% endif %}

),

lost as (

    select
        'recipients who count for no variant' as breach,
        named.campaign_id,
        null::text as variant_id,
        count(*) as expected,
        0 as found
    from named
    left join assigned
        on
            named.campaign_id = assigned.campaign_id
            and named.recipient_key = assigned.recipient_key
    where assigned.recipient_key is null
    group by named.campaign_id

),

delivered as (

    select
        assigned.campaign_id,
        assigned.variant_id,
        count(recipients.delivered_at) as delivered
    from assigned
    left join {{ ref('int_campaign_recipients') }} as recipients
        on
            assigned.campaign_id = recipients.campaign_id
            and assigned.recipient_key = recipients.recipient_key
    group by
        assigned.campaign_id,
        assigned.variant_id

),

miscounted as (

    select
        'delivered of a variant' as breach,
        campaign_id,
        variant_id,
        delivered.delivered as expected,
        told.delivered as found
    from delivered
    full join told using (campaign_id, variant_id)
    where
        delivered.delivered is distinct from told.delivered
        -- A control that no event names is not counted by its name.
        and not (delivered.delivered is null and told.is_control)

),

overfull as (

    select
        'delivered of a campaign' as breach,
        told.campaign_id,
        null::text as variant_id,
        coalesce(max(campaigns.delivered), 0) as expected,
        sum(told.delivered) as found
    from told
    left join {{ ref('campaign_performance') }} as campaigns
        on told.campaign_id = campaigns.campaign_id
    group by told.campaign_id
    having sum(told.delivered) > coalesce(max(campaigns.delivered), 0)

),

uncontrolled as (

    select
        'controls of a campaign' as breach,
        campaign_id,
        null::text as variant_id,
        1 as expected,
        count(*) filter (where is_control) as found
    from told
    group by campaign_id
    having count(*) filter (where is_control) <> 1

),

breaches as (

    {% for breach in ['lost', 'miscounted', 'overfull', 'uncontrolled'] %}
        select * from {{ breach }}
        {{ 'union all' if not loop.last }}
    {% endfor %}

)

select * from breaches
