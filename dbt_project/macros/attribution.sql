{# The models, in the order in which the marts show them. data_driven is by the calibration in force. #}
{% macro attribution_models() -%}
    {{ return(
        ['first_touch', 'last_touch', 'last_non_direct', 'linear', 'time_decay', 'position_based', 'data_driven']
    ) }}
{%- endmacro %}

{# Weight of a touch so much older than the journey's last one: halved per half-life, to 24 digits.
   Exact arithmetic all the way: no double, and no order of summing, can move a cent. #}
{% macro decay_weight(age, half_life_days) -%}
    case
            when touch_count > 1
                then exp((
                    {{ seconds(age) }}
                    * (-ln(2.0000000000000000000000000000000000) / ({{ half_life_days }} * 86400))
                )::numeric(50, 24))
            else 1
        end
{%- endmacro %}

{# What position_based gives in trillionths: <prefix>_first_share to the first touch, <prefix>_middle_share to each one
   between; the last takes what is left. first, last: weights of the outer touches. #}
{% macro position_shares(prefix, first, last) -%}
{%- set first_weight = trillionths(first) -%}
{%- set last_weight = trillionths(last) -%}
    case
            when touch_count <= 1 then {{ trillionths(1) }}
            when touch_count = 2 and {{ first_weight }} + {{ last_weight }} = 0 then {{ trillionths(0.5) }}
            when touch_count = 2
                then round(
                    {{ trillionths(1) }} * {{ first_weight }}::numeric
                    / nullif({{ first_weight }} + {{ last_weight }}, 0)
                )::bigint
            else {{ first_weight }}
        end as {{ prefix }}_first_share,
        case
            when touch_count >= 3
                then {{ rounded_quotient(
                    'greatest(' ~ trillionths(1) ~ ' - ' ~ first_weight ~ ' - ' ~ last_weight ~ ', 0)',
                    '(touch_count - 2)',
                ) }}
            else 0
        end as {{ prefix }}_middle_share
{%- endmacro %}

{# Credit of the touches before this one, and up to it, by position. #}
{% macro position_cumulated(prefix) -%}
    case
            when touch_position = 1 then 0
            else least({{ trillionths(1) }}, {{ prefix }}_first_share + (touch_position - 2) * {{ prefix }}_middle_share)
        end as {{ prefix }}_before,
        least(
            {{ trillionths(1) }}, {{ prefix }}_first_share + (touch_position - 1) * {{ prefix }}_middle_share
        ) as {{ prefix }}_upto
{%- endmacro %}

{# The same where each touch has a share of its own: summed over the journey so far. #}
{% macro shares_cumulated(prefix, share) -%}
    least({{ trillionths(1) }}, (sum({{ share }}) over up_to_here)::bigint - {{ share }}) as {{ prefix }}_before,
        least({{ trillionths(1) }}, (sum({{ share }}) over up_to_here)::bigint) as {{ prefix }}_upto
{%- endmacro %}

{# A touch's part of its channel's weight among the distinct channels of the journey, in trillionths; weights are
   millionths, so that the trillion-fold of one fits a bigint. All weights 0: evenly over the touches. #}
{% macro weighted_share() -%}
    case
            when journey_weight > 0
                then {{ rounded_quotient(
                    trillionths(1) ~ ' * channel_weight', '(journey_weight * channel_touches)'
                ) }}
            else {{ rounded_quotient(trillionths(1), 'greatest(touch_count, 1)') }}
        end
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
    where credited.attribution_model in (select models.attribution_model from {{ ref('int_attribution_models') }} as models)

)

{{ with_frozen('by_model', 'date') }}
{%- endmacro %}

{# Of the rows of attribution_accuracy, the one that the scorecard shows: what surveys say of the headline model now. #}
{% macro is_headline_accuracy(measured) -%}
    {{ measured }}.truth_method = 'survey'
            and {{ measured }}.attribution_model = '{{ headline_model() }}'
            and {{ measured }}.calibration_id = {{ calibration().id or 0 }}
            and {{ measured }}.is_latest
{%- endmacro %}
