{{
    config(
        indexes=[{'columns': ['path_id'], 'unique': true}],
        post_hook='analyze {{ this }}',
    )
}}
{%- set is_delta = is_delta() %}

with

touches as (

    select * from {{ ref('int_touchpoints') }}
    where build_id = {{ this_build() }}

),

changed_conversions as (

    select * from {{ ref('int_conversions') }}
    where build_id = {{ this_build() }}

),

journeys as (

    select * from {{ ref('int_journeys_affected') }}

),

-- Whose touches or conversions changed: of theirs, the path that did not convert is another one.
persons as (

    select person_id from touches

    union

    select previous_person_id from touches
    where previous_person_id is not null

    union

    select person_id from changed_conversions

),

affected as (

    select
        {{ path_of_conversion('conversion_id') }} as path_id,
        conversion_id,
        null::text as person_id
    from journeys

    union

    select
        {{ path_of_person('person_id') }} as path_id,
        null::text as conversion_id,
        person_id
    from persons

    {% if is_delta %}

        union

        -- What ended before the days that are fitted now goes.
        select
            standing.path_id,
            standing.conversion_id,
            case when standing.conversion_id is null then standing.person_id end as person_id
        from {{ standing('int_paths') }} as standing
        where standing.ended_on < (select build.fit_from_on from {{ ref('stg_build') }} as build)

    {% endif %}

)

-- Nothing in a full build: there every path is made anew.
select * from affected
{% if not is_delta %}
    where false
{% endif %}
