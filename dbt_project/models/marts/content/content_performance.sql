{# No index holds variant_id: no contract bounds its length, and an index would fail the build of a long one. #}
{{ config(indexes=[{'columns': ['campaign_id']}]) }}

with

build as (

    select * from {{ ref('stg_build') }}

),

assigned as (

    select * from {{ ref('int_campaign_recipients_assigned') }}

),

-- Everybody of the campaigns that have a variant.
recipients as (

    select
        recipients.campaign_id,
        assigned.variant_id,
        recipients.delivered_at,
        recipients.is_mature,
        recipients.is_converted
    from {{ ref('int_campaign_recipients_matured') }} as recipients
    left join assigned
        on
            recipients.campaign_id = assigned.campaign_id
            and recipients.recipient_key = assigned.recipient_key
    where recipients.campaign_id in (select named.campaign_id from assigned as named)

),

written as (

    select * from {{ ref('stg_content_variants') }}

),

campaigns as (

    select
        campaign_id,
        bool_or(variant_id = '{{ control_variant() }}') as names_control,
        min(delivered_at) filter (where variant_id is not null) as first_delivered_at
    from recipients
    group by campaign_id

),

-- Without a control of its own, a campaign is held against who got it as it was, at the same time: earlier mailings met
-- another season.
grouped as (

    select
        recipients.*,
        coalesce(
            recipients.variant_id,
            case
                when
                    not campaigns.names_control
                    and recipients.delivered_at >= campaigns.first_delivered_at
                    then '{{ control_variant() }}'
            end
        ) as shown_variant_id
    from recipients
    inner join campaigns
        on recipients.campaign_id = campaigns.campaign_id

),

counted as (

    select
        campaign_id,
        shown_variant_id as variant_id,
        count(delivered_at) as delivered,
        count(*) filter (where is_mature) as matured_delivered,
        count(*) filter (where is_converted) as converted
    from grouped
    where shown_variant_id is not null
    group by
        campaign_id,
        shown_variant_id

),

controls as (

    select
        campaigns.campaign_id,
        '{{ control_variant() }}' as variant_id,
        coalesce(counted.delivered, 0) as delivered,
        coalesce(counted.matured_delivered, 0) as matured_delivered,
        coalesce(counted.converted, 0) as converted
    from campaigns
    left join counted
        on
            campaigns.campaign_id = counted.campaign_id
            and counted.variant_id = '{{ control_variant() }}'

),

variants as (

    select
        *,
        true as is_control
    from controls

    union all

    select
        campaign_id,
        variant_id,
        delivered,
        matured_delivered,
        converted,
        false as is_control
    from counted
    where variant_id <> '{{ control_variant() }}'

),

compared as (

    select
        variants.*,
        case
            when not variants.is_control
                then {{ share_difference(
                    'variants.converted', 'variants.matured_delivered',
                    'controls.converted', 'controls.matured_delivered',
                ) }}
        end as lift,
        -- lift times matured_delivered, by one division.
        case
            when not variants.is_control and variants.matured_delivered > 0
                then {{ ratio(
                    'variants.converted::numeric * controls.matured_delivered'
                    ~ ' - controls.converted::numeric * variants.matured_delivered',
                    'controls.matured_delivered',
                ) }}
        end as extra_conversions,
        least(variants.matured_delivered, controls.matured_delivered) as fewest_matured,
        {{ share_with_interval('own', 'variants.converted', 'variants.matured_delivered', 95) }},
        {{ share_with_interval('control', 'controls.converted', 'controls.matured_delivered', 95) }},
        {{ share_variance('variants.converted', 'variants.matured_delivered') }}
        + {{ share_variance('controls.converted', 'controls.matured_delivered') }} as variance
    from variants
    inner join controls
        on variants.campaign_id = controls.campaign_id

),

bounded as (

    select
        *,
        case
            when not is_control then {{ always_valid_reach('variance', policy('content_typical_lift')) }}
        end as reach,
        case when not is_control then {{ newcombe_low('own', 'control') }} end::numeric(38, 12) as lift_low,
        case when not is_control then {{ newcombe_high('own', 'control') }} end::numeric(38, 12) as lift_high
    from compared

),

held as (

    select
        *,
        case
            when lift is not null then greatest(own_share - control_share - reach, -1)
        end::numeric(38, 12) as lift_always_low,
        case
            when lift is not null then least(own_share - control_share + reach, 1)
        end::numeric(38, 12) as lift_always_high
    from bounded

),

judged as (

    select
        held.campaign_id,
        held.variant_id,
        held.is_control,
        held.delivered,
        held.matured_delivered,
        held.converted,
        {{ ratio('held.converted', 'held.matured_delivered') }} as conversion_rate,
        held.lift,
        held.lift_low,
        held.lift_high,
        held.lift_always_low,
        held.lift_always_high,
        held.extra_conversions,
        case
            when held.is_control then 'control'
            when held.fewest_matured < {{ policy('content_min_recipients') }} then 'no_data'
            when held.lift_always_low > 0 then 'winner'
            when held.lift_always_high < 0 then 'loser'
            else 'undecided'
        end as verdict,
        written.cost_usd_micros,
        case
            when held.extra_conversions > 0
                then round(written.cost_usd_micros::numeric(50, 20) / held.extra_conversions)
        end::bigint as cost_usd_micros_per_extra_conversion,
        build.as_of
    from held
    left join written
        on held.variant_id = written.variant_id
    cross join build

)

select * from judged
