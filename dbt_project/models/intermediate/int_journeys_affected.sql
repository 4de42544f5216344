{{
    config(
        indexes=[{'columns': ['conversion_id'], 'unique': true}],
        post_hook='analyze {{ this }}',
    )
}}
{%- set lookback = days(policy('attribution_lookback_days')) %}
{%- set is_cut = policy('attribution_journey_scope') == 'since_previous_conversion' %}

with

touches as (

    select * from {{ ref('int_touchpoints') }}
    where build_id = {{ this_build() }}

),

changed_conversions as (

    select * from {{ ref('int_conversions') }}
    where build_id = {{ this_build() }}

),

-- Read through its index by each lateral below, never as a whole.
conversions as {{ not_materialized() }} (

    select * from {{ ref('int_conversions') }}
    where {{ is_not_frozen('converted_on') }}

),

-- A touch that came, and one that went to another person, with the person it left.
changed_touches as (

    select
        person_id,
        touched_at
    from touches

    union

    select
        previous_person_id,
        touched_at
    from touches
    where previous_person_id is not null

),

affected as (

    select conversion_id
    from changed_conversions
    where {{ is_not_frozen('converted_on') }}

    union

    select reached.conversion_id
    from changed_touches
    cross join lateral (

        select conversions.conversion_id
        from conversions
        where
            conversions.person_id = changed_touches.person_id
            and conversions.converted_at >= changed_touches.touched_at
            and conversions.converted_at <= changed_touches.touched_at + {{ lookback }}

    ) as reached

    {% if is_cut %}

        union

        -- A conversion takes touches from the person's next one.
        select following.conversion_id
        from changed_conversions
        cross join lateral (

            select conversions.conversion_id
            from conversions
            where
                conversions.person_id = changed_conversions.person_id
                and (conversions.converted_at, {{ by_code_point('conversions.conversion_id') }})
                > (changed_conversions.converted_at, changed_conversions.conversion_id)
            order by
                conversions.converted_at,
                {{ by_code_point('conversions.conversion_id') }}
            limit 1

        ) as following

    {% endif %}

)

-- Nothing in a full build: there every journey is credited anew.
select * from affected
{% if not is_delta() %}
    where false
{% endif %}
