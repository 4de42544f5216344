{{
    config(
        materialized='incremental',
        incremental_strategy='replace_affected',
        on_schema_change='fail',
        meta={
            'affected': {'relation': 'int_journeys_affected', 'key': ['conversion_id']},
        },
        indexes=[{'columns': ['conversion_id']}, {'columns': ['converted_on']}],
        post_hook=[{'sql': '{{ settle_table() }}', 'transaction': false}],
    )
}}
{%- set affected = ref('int_journeys_affected') %}
{%- set first_weight = trillionths(policy('attribution_first_weight')) %}
{%- set last_weight = trillionths(policy('attribution_last_weight')) %}
{%- set in_order = 'order by touched_at, ' ~ by_code_point('touchpoint_id') %}

with

touches as (

    select * from {{ ref('int_touchpoints') }}

),

-- Read as a whole by the first use, through its index by the second.
all_conversions as not materialized (

    select * from {{ ref('int_conversions') }}

),

conversions as (

    select
        conversion_id,
        person_id,
        converted_at,
        converted_on,
        conversion_type,
        revenue_cents,
        converted_at - {{ days(policy('attribution_lookback_days')) }} as window_start_at
    from all_conversions
    where
        revenue_cents is not null
        and {{ is_not_frozen('converted_on') }}
        {% if is_incremental() %}
            and conversion_id in (select changed.conversion_id from {{ affected }} as changed)
        {% endif %}

),

{% if policy('attribution_journey_scope') == 'since_previous_conversion' %}

    -- The person's previous conversion cuts the journey: what it used up, this one does not see.
    windows as (

        select
            conversions.*,
            previous.converted_at as cut_at
        from conversions
        left join lateral (

            select earlier.converted_at
            from all_conversions as earlier
            where
                earlier.person_id = conversions.person_id
                and (earlier.converted_at, {{ by_code_point('earlier.conversion_id') }})
                < (conversions.converted_at, conversions.conversion_id)
            order by
                earlier.converted_at desc,
                {{ by_code_point('earlier.conversion_id') }} desc
            limit 1

        ) as previous
            on true

    ),

{% else %}

    windows as (

        select
            conversions.*,
            '-infinity'::timestamptz as cut_at
        from conversions

    ),

{% endif %}

journeys as (

    select
        windows.*,
        touched.touchpoint_id,
        touched.touched_at,
        touched.channel,
        touched.campaign_id
    from windows
    left join lateral (

        select
            touches.touchpoint_id,
            touches.touched_at,
            touches.channel,
            touches.campaign_id
        from touches
        where
            touches.person_id = windows.person_id
            and touches.touched_at >= windows.window_start_at
            and touches.touched_at <= windows.converted_at
            and touches.touched_at > coalesce(windows.cut_at, '-infinity'::timestamptz)

    ) as touched
        on true

),

measured as (

    select
        *,
        count(touchpoint_id) over journey as touch_count,
        max(touched_at) over journey as last_touched_at,
        count(*) filter (where channel <> 'direct') over journey as non_direct_count
    from journeys
    window journey as (
        partition by conversion_id
        {{ in_order }}
        rows between unbounded preceding and unbounded following
    )

),

-- The weight is taken beside a window function: there it is computed once for each row.
positions as (

    select
        *,
        row_number() over up_to_here as touch_position,
        count(*) filter (where channel <> 'direct') over up_to_here as non_direct_position,
        case
            when touch_count > 1 then {{ decay_weight('last_touched_at - touched_at') }}
            else 1
        end as decay_weight
    from measured
    window up_to_here as (
        partition by conversion_id
        {{ in_order }}
        rows between unbounded preceding and current row
    )

),

-- Credit of one touch in trillionths, before the last one takes what the others leave.
credits as (

    select
        *,
        touch_count <= 1 or touch_position = touch_count as is_last,
        case
            when non_direct_count = 0 then touch_position >= touch_count
            else channel <> 'direct' and non_direct_position = non_direct_count
        end as is_last_non_direct,
        {{ rounded_quotient(trillionths(1), 'greatest(touch_count, 1)') }} as linear_share,
        case
            when touch_count <= 1 then {{ trillionths(1) }}
            when touch_count = 2 and {{ first_weight }} + {{ last_weight }} = 0 then {{ trillionths(0.5) }}
            when touch_count = 2
                then round(
                    {{ trillionths(1) }} * {{ first_weight }}::numeric
                    / nullif({{ first_weight }} + {{ last_weight }}, 0)
                )::bigint
            else {{ first_weight }}
        end as first_share,
        case
            when touch_count >= 3
                then {{ rounded_quotient(
                    'greatest(' ~ trillionths(1) ~ ' - ' ~ first_weight ~ ' - ' ~ last_weight ~ ', 0)',
                    '(touch_count - 2)',
                ) }}
            else 0
        end as middle_share,
        round({{ trillionths(1) }} * decay_weight / sum(decay_weight) over journey)::bigint as decay_share
    from positions
    window journey as (
        partition by conversion_id
        {{ in_order }}
        rows between unbounded preceding and unbounded following
    )

),

-- Credit of the touches before this one, and up to it: whole cents are cut between the two.
cumulated as (

    select
        *,
        least({{ trillionths(1) }}, (touch_position - 1) * linear_share) as linear_before,
        least({{ trillionths(1) }}, touch_position * linear_share) as linear_upto,
        case
            when touch_position = 1 then 0
            else least({{ trillionths(1) }}, first_share + (touch_position - 2) * middle_share)
        end as position_before,
        least({{ trillionths(1) }}, first_share + (touch_position - 1) * middle_share) as position_upto,
        least({{ trillionths(1) }}, (sum(decay_share) over up_to_here)::bigint - decay_share) as decay_before,
        least({{ trillionths(1) }}, (sum(decay_share) over up_to_here)::bigint) as decay_upto
    from credits
    window up_to_here as (
        partition by conversion_id
        {{ in_order }}
        rows between unbounded preceding and current row
    )

),

attributed as (

    select
        conversion_id,
        touchpoint_id,
        person_id,
        conversion_type,
        converted_at,
        converted_on,
        touched_at,
        coalesce(channel, 'unattributed') as channel,
        coalesce(campaign_id, '(none)') as campaign_id,
        case when touch_count > 0 then touch_position end::integer as touch_position,
        touch_count::integer as touch_count,
        revenue_cents,
        0 as calibration_id,
        {{ whole_credit('first_touch', 'touch_position = 1') }},
        {{ whole_credit('last_touch', 'is_last') }},
        {{ whole_credit('last_non_direct', 'is_last_non_direct') }},
        {{ shared_credit('linear', 'linear_before', 'linear_upto') }},
        {{ shared_credit('time_decay', 'decay_before', 'decay_upto') }},
        {{ shared_credit('position_based', 'position_before', 'position_upto') }}
    from cumulated

)

{{ with_frozen('attributed', 'converted_on') }}
