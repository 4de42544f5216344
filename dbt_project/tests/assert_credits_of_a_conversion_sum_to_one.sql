{{
    config(meta={
        'description': 'Under every model the credits of a conversion sum to 1, and its cents to its revenue.',
        'dagster': {'ref': {'name': 'fct_attribution'}},
    })
}}
{%- set affected = ref('int_journeys_affected') %}

-- A build that credits only some conversions judges these: the others were judged when they were credited.
with

attributed as (

    select * from {{ ref('fct_attribution') }}
    {% if flags.WHICH == 'build' and is_delta() %}
        where conversion_id in (select changed.conversion_id from {{ affected }} as changed)
    {% endif %}

),

summed as (

    select
        conversion_id,
        {% for model in attribution_models() %}
            sum({{ model }}_credit) as {{ model }}_credit,
            sum({{ model }}_revenue_cents) as {{ model }}_revenue_cents,
        {% endfor %}
        min(revenue_cents) as revenue_cents
    from attributed
    group by conversion_id

)

select *
from summed
where
    {% for model in attribution_models() %}
        {{ model }}_credit <> 1
        or {{ model }}_revenue_cents <> revenue_cents
        {{ 'or' if not loop.last }}
    {% endfor %}
