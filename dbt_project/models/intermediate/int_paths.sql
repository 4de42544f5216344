{{
    config(
        materialized='incremental',
        incremental_strategy='replace_affected',
        on_schema_change='fail',
        meta={'affected': {'relation': 'int_paths_affected', 'key': ['path_id']}},
        indexes=[{'columns': ['path_id'], 'unique': true}, {'columns': ['build_id']}, {'columns': ['ended_on']}],
        post_hook=[{'sql': '{{ settle_table() }}', 'transaction': false}],
    )
}}
-- depends_on: {{ ref('int_paths_replaced') }}
{%- set affected = ref('int_paths_affected') %}
{%- set in_order = 'order by touches.touched_at, ' ~ by_code_point('touches.touchpoint_id') %}

with

build as (

    select * from {{ ref('stg_build') }}

),

attributed as (

    select * from {{ ref('fct_attribution') }}
    where
        touchpoint_id is not null
        and converted_on >= (select build.fit_from_on from build)
        {% if is_incremental() %}
            and conversion_id in (
                select changed.conversion_id from {{ affected }} as changed
                where changed.conversion_id is not null
            )
        {% endif %}

),

converting as (

    select
        {{ path_of_conversion('conversion_id') }} as path_id,
        conversion_id,
        person_id,
        converted_at as ended_at,
        converted_on as ended_on,
        array_agg(channel order by touch_position) as channels,
        1 as conversions,
        0 as non_conversions,
        min(revenue_cents) as revenue_cents
    from attributed
    group by
        conversion_id,
        person_id,
        converted_at,
        converted_on

),

touches as {{ not_materialized() }} (

    select * from {{ ref('int_touchpoints') }}

),

conversions as {{ not_materialized() }} (

    select * from {{ ref('int_conversions') }}

),

-- The last touch of each person, and the last conversion: only what came after that did not convert.
{% if is_incremental() %}

    last_touches as (

        select
            persons.person_id,
            latest.last_touched_at
        from {{ affected }} as persons
        cross join lateral (

            select touches.touched_at as last_touched_at
            from touches
            where touches.person_id = persons.person_id
            order by touches.touched_at desc
            limit 1

        ) as latest
        where persons.person_id is not null

    ),

    unconverted as (

        select
            last_touches.person_id,
            last_touches.last_touched_at,
            latest.last_converted_at
        from last_touches
        left join lateral (

            select conversions.converted_at as last_converted_at
            from conversions
            where conversions.person_id = last_touches.person_id
            order by conversions.converted_at desc
            limit 1

        ) as latest
            on true
        where last_touches.last_touched_at > coalesce(latest.last_converted_at, '-infinity'::timestamptz)

    ),

{% else %}

    last_touches as (

        select
            person_id,
            max(touched_at) as last_touched_at
        from touches
        group by person_id

    ),

    last_conversions as (

        select
            person_id,
            max(converted_at) as last_converted_at
        from conversions
        group by person_id

    ),

    unconverted as (

        select
            last_touches.person_id,
            last_touches.last_touched_at,
            last_conversions.last_converted_at
        from last_touches
        left join last_conversions
            on last_touches.person_id = last_conversions.person_id
        where last_touches.last_touched_at > coalesce(last_conversions.last_converted_at, '-infinity'::timestamptz)

    ),

{% endif %}

not_converting as (

    select
        {{ path_of_person('unconverted.person_id') }} as path_id,
        null::text as conversion_id,
        unconverted.person_id,
        unconverted.last_touched_at as ended_at,
        {{ utc_day('unconverted.last_touched_at') }} as ended_on,
        array_agg(touches.channel {{ in_order }}) as channels,
        0 as conversions,
        1 as non_conversions,
        0::bigint as revenue_cents
    from unconverted
    inner join touches
        on
            unconverted.person_id = touches.person_id
            and touches.touched_at
            >= unconverted.last_touched_at - {{ days(policy('attribution_lookback_days')) }}
            and touches.touched_at > coalesce(unconverted.last_converted_at, '-infinity'::timestamptz)
    where {{ utc_day('unconverted.last_touched_at') }} >= (select build.fit_from_on from build)
    group by
        unconverted.person_id,
        unconverted.last_touched_at

),

paths as (

    select * from converting
    union all
    select * from not_converting

),

transformed as (

    select
        paths.path_id,
        paths.conversion_id,
        paths.person_id,
        {{ person_group('paths.person_id') }} as person_group,
        paths.ended_at,
        paths.ended_on,
        paths.channels,
        {{ transformed_path('paths.channels') }} as path,
        paths.conversions,
        paths.non_conversions,
        paths.revenue_cents,
        build.build_id
    from paths
    cross join build

)

select * from transformed
