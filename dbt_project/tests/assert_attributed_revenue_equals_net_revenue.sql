{{
    config(meta={
        'description': 'Conservation: for every model and day, what the channels were given, `unattributed` '
        'included, is what came in; and the same over campaigns.',
        'dagster': {'ref': {'name': 'attribution_by_channel'}},
    })
}}

with

conversions as (

    select
        converted_on as date,
        sum(revenue_cents) as revenue_cents,
        count(*) as conversions
    from {{ ref('int_conversions') }}
    where
        revenue_cents is not null
        and {{ is_not_frozen('converted_on') }}
    group by converted_on

),

models as (

    select * from {{ ref('int_attribution_models') }}

),

attributed as (

    {% for dimension in ['channel', 'campaign'] %}
        select
            date,
            attribution_model,
            '{{ dimension }}' as dimension,
            sum(revenue_cents) as revenue_cents,
            sum(conversions) as conversions
        from {{ ref('attribution_by_' ~ dimension) }}
        where {{ is_not_frozen('date') }}
        group by
            date,
            attribution_model
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

expected as (

    select
        conversions.date,
        models.attribution_model,
        dimensions.dimension,
        conversions.revenue_cents,
        conversions.conversions
    from conversions
    cross join models
    cross join (values ('channel'), ('campaign')) as dimensions (dimension)

)

select
    date,
    attribution_model,
    dimension,
    expected.revenue_cents as net_revenue_cents,
    attributed.revenue_cents as attributed_revenue_cents,
    expected.conversions as net_conversions,
    attributed.conversions as attributed_conversions
from expected
full join attributed using (date, attribution_model, dimension)
where
    expected.revenue_cents is distinct from attributed.revenue_cents
    or expected.conversions is distinct from attributed.conversions
