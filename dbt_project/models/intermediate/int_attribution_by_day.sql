{{
    config(
        materialized='incremental',
        tags=['credit'],
        incremental_strategy='delete+insert',
        unique_key=['date', 'channel', 'campaign_id'],
        indexes=[
            {'columns': ['date', 'channel', 'campaign_id'], 'unique': true},
            {'columns': ['build_id']},
        ],
        pre_hook='{{ refuse_to_add_twice() }}',
    )
}}
{%- set affected = ref('int_journeys_affected') %}
{%- set sides = [('', ref('fct_attribution'))] %}
{%- if is_incremental() %}
    {%- do sides.append(('-', published('fct_attribution'))) %}
{%- endif %}

with

-- A delta takes what was published of the affected conversions off the sums and puts what is credited
-- now on them: it costs what it changes, however much the days hold.
parts as (

    {% for sign, credited in sides %}
        select
            converted_on as date,
            channel,
            campaign_id,
            {{ sign }}count(*) as touches,
            {% for model in attribution_models() %}
                {{ sign }}sum({{ model }}_credit) as {{ model }}_conversions,
                {{ sign }}coalesce(
                    sum({{ model }}_credit) filter (where conversion_type = 'signup'), 0
                ) as {{ model }}_signups,
                {{ sign }}sum({{ model }}_revenue_cents) as {{ model }}_revenue_cents{{ ',' if not loop.last }}
            {% endfor %}
        from {{ credited }}
        where
            {{ is_not_frozen('converted_on') }}
            {% if is_incremental() %}
                and conversion_id in (select changed.conversion_id from {{ affected }} as changed)
            {% endif %}
        group by
            converted_on,
            channel,
            campaign_id
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

{{ kept_sums(['date', 'channel', 'campaign_id'], credit_sums(signups=true)) }}
