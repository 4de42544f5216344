{{
    config(
        materialized='incremental',
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

{% if is_incremental() %}

    known as (

        select
            date,
            channel,
            campaign_id,
            touches,
            {% for model in attribution_models() %}
                {{ model }}_conversions,
                {{ model }}_signups,
                {{ model }}_revenue_cents{{ ',' if not loop.last }}
            {% endfor %}
        from {{ this }}
        where
            (date, channel, campaign_id) in (
                select
                    parts.date,
                    parts.channel,
                    parts.campaign_id
                from parts
            )

    ),

{% endif %}

summands as (

    select * from parts
    {% if is_incremental() %}
        union all
        select * from known
    {% endif %}

),

build as (

    select * from {{ ref('stg_build') }}

),

summed as (

    select
        summands.date,
        summands.channel,
        summands.campaign_id,
        sum(summands.touches)::bigint as touches,
        {% for model in attribution_models() %}
            sum(summands.{{ model }}_conversions)::numeric(30, 12) as {{ model }}_conversions,
            sum(summands.{{ model }}_signups)::numeric(30, 12) as {{ model }}_signups,
            sum(summands.{{ model }}_revenue_cents)::bigint as {{ model }}_revenue_cents,
        {% endfor %}
        build.build_id
    from summands
    cross join build
    group by
        summands.date,
        summands.channel,
        summands.campaign_id,
        build.build_id

)

select * from summed
