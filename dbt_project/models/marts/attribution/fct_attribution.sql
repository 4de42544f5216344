{{
    config(
        materialized='incremental',
        incremental_strategy='replace_affected',
        on_schema_change='fail',
        tags=['credit'],
        meta={
            'affected': {'relation': 'int_journeys_affected', 'key': ['conversion_id']},
        },
        indexes=[{'columns': ['conversion_id']}, {'columns': ['converted_on']}],
        post_hook=[{'sql': '{{ settle_table() }}', 'transaction': false}],
    )
}}
{%- set affected = ref('int_journeys_affected') %}
{%- set calibration = calibration() %}
{%- set is_weighted = calibration.method in ['markov', 'shapley'] %}
{%- set is_decaying = calibration.method == 'time_decay' %}
{%- set first_weight, last_weight = policy('attribution_first_weight'), policy('attribution_last_weight') %}
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

{% if is_weighted %}

    weights as (

        select
            weight.channel,
            weight.millionths
        from (
            values
            {% for channel, millionths in calibration.weights %}
                ('{{ dbt.escape_single_quotes(channel) }}', {{ millionths }}){{ ',' if not loop.last }}
            {% endfor %}
        ) as weight (channel, millionths)

    ),

    -- A channel that the fit never saw takes the smallest weight.
    smallest_weight as (

        select min(millionths) as millionths from weights

    ),

    weighed as (

        select
            journeys.*,
            coalesce(weights.millionths, smallest_weight.millionths) as channel_weight,
            count(*) over same_channel as channel_touches,
            row_number() over same_channel = 1 as is_first_of_channel
        from journeys
        cross join smallest_weight
        left join weights
            on journeys.channel = weights.channel
        window same_channel as (
            partition by
                journeys.conversion_id,
                journeys.channel
        )

    ),

{% else %}

    weighed as (

        select * from journeys

    ),

{% endif %}

measured as (

    select
        *,
        count(touchpoint_id) over journey as touch_count,
        max(touched_at) over journey as last_touched_at,
        count(*) filter (where channel <> 'direct') over journey as non_direct_count
    from weighed
    window journey as (
        partition by conversion_id
        {{ in_order }}
        rows between unbounded preceding and unbounded following
    )

),

-- The weights are taken beside a window function: there they are computed once for each row.
positions as (

    select
        *,
        row_number() over up_to_here as touch_position,
        count(*) filter (where channel <> 'direct') over up_to_here as non_direct_position,
        {% if is_decaying %}
            {{ decay_weight('last_touched_at - touched_at', calibration.half_life_days) }} as calibrated_weight,
        {% endif %}
        {{ decay_weight('last_touched_at - touched_at', policy('attribution_half_life_days')) }} as decay_weight
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
        {{ position_shares('position', first_weight, last_weight) }},
        {% if is_weighted %}
            (sum(channel_weight) filter (where is_first_of_channel) over journey)::bigint as journey_weight,
        {% elif is_decaying %}
            round(
                {{ trillionths(1) }} * calibrated_weight / sum(calibrated_weight) over journey
            )::bigint as calibrated_share,
        {% else %}
            {{ position_shares(
                'calibrated',
                calibration.first_weight or first_weight,
                calibration.last_weight or last_weight,
            ) }},
        {% endif %}
        round({{ trillionths(1) }} * decay_weight / sum(decay_weight) over journey)::bigint as decay_share
    from positions
    window journey as (
        partition by conversion_id
        {{ in_order }}
        rows between unbounded preceding and unbounded following
    )

),

shared as (

    select
        {% if is_weighted %}
            {{ weighted_share() }} as calibrated_share,
        {% endif %}
        *
    from credits

),

-- Credit of the touches before this one, and up to it: whole cents are cut between the two.
cumulated as (

    select
        *,
        least({{ trillionths(1) }}, (touch_position - 1) * linear_share) as linear_before,
        least({{ trillionths(1) }}, touch_position * linear_share) as linear_upto,
        {{ position_cumulated('position') }},
        {% if is_weighted or is_decaying %}
            {{ shares_cumulated('calibrated', 'calibrated_share') }},
        {% else %}
            {{ position_cumulated('calibrated') }},
        {% endif %}
        {{ shares_cumulated('decay', 'decay_share') }}
    from shared
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
        {{ calibration.id or 0 }} as calibration_id,
        {{ whole_credit('first_touch', 'touch_position = 1') }},
        {{ whole_credit('last_touch', 'is_last') }},
        {{ whole_credit('last_non_direct', 'is_last_non_direct') }},
        {{ shared_credit('linear', 'linear_before', 'linear_upto') }},
        {{ shared_credit('time_decay', 'decay_before', 'decay_upto') }},
        {{ shared_credit('position_based', 'position_before', 'position_upto') }},
        {{ shared_credit('data_driven', 'calibrated_before', 'calibrated_upto') }}
    from cumulated

)

{{ with_frozen('attributed', 'converted_on') }}
