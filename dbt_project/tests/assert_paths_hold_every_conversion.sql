{{
    config(meta={
        'description': 'Of the fitted days, paths, sets of channels, steps and groups of persons hold every conversion '
        'with a touch and its revenue, once.',
        'dagster': {'ref': {'name': 'path_summary'}},
    })
}}

with

build as (

    select * from {{ ref('stg_build') }}

),

journeys as (

    select
        count(*) as conversions,
        sum(revenue_cents) as revenue_cents
    from {{ ref('fct_attribution') }}
    where
        touch_position = 1
        and converted_on >= (select build.fit_from_on from build)

),

paths as (

    select
        sum(conversions) as conversions,
        sum(revenue_cents) as revenue_cents
    from {{ ref('path_summary') }}

),

sets as (

    select
        sum(conversions) as conversions,
        sum(revenue_cents) as revenue_cents
    from {{ ref('int_channel_sets') }}

),

steps as (

    select sum(steps) as conversions
    from {{ ref('int_path_transitions') }}
    where to_kind = 'conversion'

),

groups as (

    select
        sum(linear_conversions) as conversions,
        sum(linear_revenue_cents) as revenue_cents
    from {{ ref('int_credits_by_group') }}
    where channel <> 'unattributed'

),

compared as (

    select
        'path_summary' as held_by,
        conversions,
        revenue_cents
    from paths

    union all

    select
        'int_channel_sets' as held_by,
        conversions,
        revenue_cents
    from sets

    union all

    select
        'int_path_transitions' as held_by,
        steps.conversions,
        journeys.revenue_cents
    from steps
    cross join journeys

    union all

    select
        'int_credits_by_group' as held_by,
        conversions,
        revenue_cents
    from groups

)

select
    compared.held_by,
    compared.conversions,
    compared.revenue_cents,
    journeys.conversions as expected_conversions,
    journeys.revenue_cents as expected_revenue_cents
from compared
cross join journeys
where
    coalesce(compared.conversions, 0) <> journeys.conversions
    or coalesce(compared.revenue_cents, 0) <> coalesce(journeys.revenue_cents, 0)
