-- The alternative to the engine's incremental model: all six models in one materialized view on the raw tables.
create materialized view benchmark.attribution as
with claims as (
    select
        anonymous_id, user_id, occurred_at,
        lag(occurred_at) over claimed as previous_at,
        lead(occurred_at) over claimed as next_at
    from raw.identities
    window claimed as (partition by anonymous_id order by occurred_at)
),

touches as (
    select
        touchpoints.event_id,
        coalesce(touchpoints.user_id, claims.user_id, 'anon:' || touchpoints.anonymous_id) as person_id,
        touchpoints.occurred_at as touched_at,
        touchpoints.channel,
        coalesce(touchpoints.campaign_id, '(none)') as campaign_id
    from raw.touchpoints
    left join claims
        on touchpoints.user_id is null
        and claims.anonymous_id = touchpoints.anonymous_id
        and (claims.previous_at is null or touchpoints.occurred_at >= claims.occurred_at)
        and (claims.next_at is null or touchpoints.occurred_at < claims.next_at)
),

refunded as (
    select conversion_id, sum(refund_cents) as refund_cents from raw.refunds group by conversion_id
),

conversions as (
    select
        conversions.conversion_id,
        conversions.user_id as person_id,
        conversions.conversion_type,
        conversions.occurred_at as converted_at,
        (conversions.occurred_at at time zone 'UTC')::date as converted_on,
        greatest(conversions.revenue_cents - coalesce(refunded.refund_cents, 0), 0)::bigint as revenue_cents
    from raw.conversions
    left join refunded using (conversion_id)
),

positions as (
    select
        conversions.*,
        touches.event_id as touchpoint_id,
        touches.touched_at,
        touches.channel,
        touches.campaign_id,
        row_number() over so_far as touch_number,
        count(touches.event_id) over journey as touch_count,
        max(touches.touched_at) over journey as last_touched_at
    from conversions
    left join touches
        on touches.person_id = conversions.person_id
        and touches.touched_at between conversions.converted_at - interval '720 hours' and conversions.converted_at
    window
        journey as (partition by conversions.conversion_id),
        so_far as (partition by conversions.conversion_id order by touches.touched_at, touches.event_id)
),

weights as (
    select
        *,
        touch_number = greatest(touch_count, 1) as is_last,
        touch_number = coalesce(
            max(touch_number) filter (where channel <> 'direct') over (partition by conversion_id),
            greatest(touch_count, 1)
        ) as is_last_non_direct,
        case
            when touch_count <= 1 then 1
            else exp((
                extract(epoch from last_touched_at - touched_at)
                * (-ln(2.0000000000000000000000000000000000) / (7 * 86400))
            )::numeric(50, 24))
        end as weight
    from positions
),

credits as (
    select
        *,
        (1::numeric / greatest(touch_count, 1))::numeric(18, 12) as linear,
        (weight / sum(weight) over (partition by conversion_id))::numeric(18, 12) as decay,
        case
            when touch_count <= 1 then 1 when touch_count = 2 then 0.5
            when touch_number = 1 then 0.4 else 0.2 / (touch_count - 2)
        end::numeric(18, 12) as by_position
    from weights
),

cumulated as (
    select
        *,
        case when is_last then 1 else least(1, sum(linear) over so_far) end as linear_upto,
        case when is_last then 1 else least(1, sum(decay) over so_far) end as decay_upto,
        case when is_last then 1 else least(1, sum(by_position) over so_far) end as position_upto,
        least(1, sum(linear) over so_far - linear) as linear_before,
        least(1, sum(decay) over so_far - decay) as decay_before,
        least(1, sum(by_position) over so_far - by_position) as position_before
    from credits
    window so_far as (partition by conversion_id order by touch_number)
)

select
    conversion_id, touch_number, touchpoint_id, person_id, conversion_type, converted_at, converted_on, touched_at,
    coalesce(channel, 'unattributed') as channel,
    coalesce(campaign_id, '(none)') as campaign_id,
    case when touch_count > 0 then touch_number end::integer as touch_position,
    touch_count::integer as touch_count,
    revenue_cents,
    0 as calibration_id,
    case when touch_number = 1 then 1 else 0 end::numeric(18, 12) as first_touch_credit,
    case when touch_number = 1 then revenue_cents else 0 end::bigint as first_touch_revenue_cents,
    case when is_last then 1 else 0 end::numeric(18, 12) as last_touch_credit,
    case when is_last then revenue_cents else 0 end::bigint as last_touch_revenue_cents,
    case when is_last_non_direct then 1 else 0 end::numeric(18, 12) as last_non_direct_credit,
    case when is_last_non_direct then revenue_cents else 0 end::bigint as last_non_direct_revenue_cents,
    (linear_upto - linear_before)::numeric(18, 12) as linear_credit,
    (round(linear_upto * revenue_cents) - round(linear_before * revenue_cents))::bigint as linear_revenue_cents,
    (decay_upto - decay_before)::numeric(18, 12) as time_decay_credit,
    (round(decay_upto * revenue_cents) - round(decay_before * revenue_cents))::bigint as time_decay_revenue_cents,
    (position_upto - position_before)::numeric(18, 12) as position_based_credit,
    (round(position_upto * revenue_cents) - round(position_before * revenue_cents))::bigint
        as position_based_revenue_cents
from cumulated
