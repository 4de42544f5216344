{# The measures of return of a row that has a cost, a revenue, or both. Ratios of sums; no cost means
   no ratio, not infinity. #}
{% macro roi_columns(cost, attributed) -%}
{%- set cost_cents = 'coalesce(' ~ cost ~ '.cost_cents, 0)' -%}
{%- set revenue_cents = 'coalesce(' ~ attributed ~ '.revenue_cents, 0)' -%}
    {{ cost_cents }} as cost_cents,
        {{ revenue_cents }} as revenue_cents,
        coalesce({{ attributed }}.conversions, 0)::numeric(30, 12) as conversions,
        coalesce({{ attributed }}.signups, 0)::numeric(30, 12) as signups,
        {{ roi_pct(revenue_cents, cost_cents) }} as roi_pct,
        {{ ratio(revenue_cents, cost_cents) }} as roas,
        {{ cac_cents(cost ~ '.cost_cents', attributed ~ '.signups') }} as cac_cents
{%- endmacro %}

{# (revenue - cost) / cost, in percent. #}
{% macro roi_pct(revenue_cents, cost_cents) -%}
    {{ ratio('(' ~ revenue_cents ~ ' - ' ~ cost_cents ~ ') * 100', cost_cents) }}
{%- endmacro %}

{# Cost per sign-up. Less than a millionth of a sign-up is what rounding left, and no sign-up. #}
{% macro cac_cents(cost_cents, signups) -%}
    case
            when {{ signups }} >= 0.000001
                then round(nullif({{ cost_cents }}, 0)::numeric(50, 20) / {{ signups }})::bigint
        end
{%- endmacro %}
