{# The rule-based models, in the order in which the marts show them. #}
{% macro attribution_models() -%}
    {{ return(['first_touch', 'last_touch', 'last_non_direct', 'linear', 'time_decay', 'position_based']) }}
{%- endmacro %}

{# Weight of a touch so much older than the journey's last one: halved per half-life, to 24 digits.
   Exact arithmetic all the way: no double, and no order of summing, can move a cent. #}
{% macro decay_weight(age) -%}
    exp((
        {{ seconds(age) }}
        * (-ln(2.0000000000000000000000000000000000) / ({{ policy('attribution_half_life_days') }} * 86400))
    )::numeric(50, 24))
{%- endmacro %}

{# A share as an integer count of the last decimal that credits have. Integers are as exact as decimals and
   cost a tenth. #}
{% macro trillionths(share) -%}
    round({{ share }}::numeric * 1000000000000)::bigint
{%- endmacro %}

{# Credit and cents of a model that gives one touch everything. #}
{% macro whole_credit(model, takes_all) -%}
    case when {{ takes_all }} then 1::numeric(18, 12) else 0::numeric(18, 12) end as {{ model }}_credit,
        case when {{ takes_all }} then revenue_cents else 0 end as {{ model }}_revenue_cents
{%- endmacro %}

{# Credit and cents of a model that shares: from the credit of the touches before this one to the
   credit up to it, in trillionths. The last touch takes what the others leave, so both add up exactly. #}
{% macro shared_credit(model, before, upto) -%}
    (
            (case when is_last then {{ trillionths(1) }} else {{ upto }} end - {{ before }}) * 0.000000000001
        )::numeric(18, 12) as {{ model }}_credit,
        case when is_last then revenue_cents else {{ share_of('revenue_cents', upto) }} end
        - {{ share_of('revenue_cents', before) }} as {{ model }}_revenue_cents
{%- endmacro %}

{# So many trillionths of a number of cents, in whole cents. 9 million cents are the most of which a
   trillion-fold fits a bigint. #}
{% macro share_of(cents, share) -%}
    case
            when {{ cents }} <= 9000000 then {{ rounded_quotient(share ~ ' * ' ~ cents, trillionths(1)) }}
            else round({{ share }} * 0.000000000001 * {{ cents }})::bigint
        end
{%- endmacro %}

{# Credit, sign-ups and revenue by day of conversion, model and `dimension`; each model has a row for
   whatever a journey of that day touched, if only with zeros. #}
{% macro attribution_by(dimension) -%}
{%- set affected = ref('int_attribution_days_affected') -%}
with

by_day as (

    select * from {{ ref('int_attribution_by_day') }}
    where
        touches > 0
        {% if is_incremental() %}
            and date in (select changed.date from {{ affected }} as changed)
        {% endif %}

),

summed as (

    select
        date,
        {{ dimension }},
        {% for model in attribution_models() %}
            sum({{ model }}_conversions) as {{ model }}_conversions,
            sum({{ model }}_signups) as {{ model }}_signups,
            sum({{ model }}_revenue_cents) as {{ model }}_revenue_cents{{ ',' if not loop.last }}
        {% endfor %}
    from by_day
    group by
        date,
        {{ dimension }}

),

by_model as (

    select
        summed.date,
        credited.attribution_model,
        summed.{{ dimension }},
        credited.conversions::numeric(30, 12) as conversions,
        credited.signups::numeric(30, 12) as signups,
        credited.revenue_cents::bigint as revenue_cents
    from summed
    cross join lateral (
        values
        {% for model in attribution_models() %}
            (
                '{{ model }}',
                summed.{{ model }}_conversions,
                summed.{{ model }}_signups,
                summed.{{ model }}_revenue_cents
            ){{ ',' if not loop.last }}
        {% endfor %}
    ) as credited (attribution_model, conversions, signups, revenue_cents)

)

{{ with_frozen('by_model', 'date') }}
{%- endmacro %}
