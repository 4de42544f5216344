{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        tags=['credit'],
        unique_key=['person_group', 'channel'],
        indexes=[{'columns': ['person_group', 'channel'], 'unique': true}, {'columns': ['build_id']}],
        pre_hook='{{ refuse_to_add_twice() }}',
    )
}}
{%- set affected = 'conversion_id in (select changed.conversion_id from ' ~ ref('int_journeys_affected') ~ ' as changed)' %}
{%- set build = ref('stg_build') %}
{%- set since = 'converted_on >= (select build.fit_from_on from ' ~ build ~ ' as build)' %}
{%- set since_base = 'converted_on >= (select build.base_fit_from_on from ' ~ build ~ ' as build)' %}
{%- if is_incremental() %}
    {%- set before = published('fct_attribution') %}
    {%- set sides = [
        ('', ref('fct_attribution'), since ~ ' and ' ~ affected),
        ('-', before, since_base ~ ' and ' ~ affected),
        ('-', before, since_base ~ ' and not ' ~ since ~ ' and not ' ~ affected),
    ] %}
{%- else %}
    {%- set sides = [('', ref('fct_attribution'), since)] %}
{%- endif %}

with

-- Of the days that are fitted: what is credited now, less what was published of it and of days that have left.
parts as (

    {% for sign, credited, condition in sides %}
        select
            {{ person_group('person_id') }} as person_group,
            channel,
            {{ sign }}count(*) as touches,
            {% for model in attribution_models() %}
                {{ sign }}sum({{ model }}_credit) as {{ model }}_conversions,
                {{ sign }}sum({{ model }}_revenue_cents) as {{ model }}_revenue_cents{{ ',' if not loop.last }}
            {% endfor %}
        from {{ credited }}
        where {{ condition }}
        group by
            1,
            2
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

{{ kept_sums(['person_group', 'channel'], credit_sums()) }}
