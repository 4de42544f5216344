{{
    config(
        materialized='incremental',
        incremental_strategy='replace_affected',
        meta={'affected': {'relation': 'int_conversions_affected', 'key': ['conversion_id']}},
        indexes=[{'columns': ['conversion_id'], 'unique': true}, {'columns': ['build_id']}],
        post_hook=[
            "{{ ensure_index('person_id, converted_at, ' ~ by_code_point('conversion_id')) }}",
            {'sql': '{{ settle_table() }}', 'transaction': false},
        ],
    )
}}
{%- set affected = ref('int_conversions_affected') %}
{%- set frozen_before = frozen_before() %}

with

conversions as (

    {% if is_incremental() %}

        -- limit: else the planner, which thinks that staging hides most rows, reads all conversions.
        select found.*
        from {{ affected }} as changed
        cross join lateral (

            select known.*
            from {{ ref('stg_conversions') }} as known
            where known.conversion_id = changed.conversion_id
            order by known.conversion_id
            limit 1

        ) as found

    {% else %}

        select * from {{ ref('stg_conversions') }}

    {% endif %}

),

refunds as (

    select
        conversion_id,
        sum(refund_cents) as refund_cents
    from {{ ref('stg_refunds') }}
    {% if is_incremental() %}
        where conversion_id in (select changed.conversion_id from {{ affected }} as changed)
    {% endif %}
    group by conversion_id

),

rates as (

    select * from {{ ref('int_exchange_rates_by_day') }}

),

build as (

    select * from {{ ref('stg_build') }}

),

{% if frozen_before %}

    -- Conversions of frozen days are as they were published: raw holds them no longer, and people are still worth them.
    frozen as {{ not_materialized() }} (

        select * from {{ published('fct_attribution') }}
        where
            converted_on < '{{ frozen_before }}'::date
            -- One row of each: that of its first touch, or of none.
            and coalesce(touch_position, 1) = 1

    ),

{% endif %}

-- Net before it is converted, converted once, rounded before it is shared. revenue_cents is null
-- where no rate is young enough: such a conversion is held out of all money and counted.
net as (

    select
        conversions.conversion_id,
        conversions.user_id as person_id,
        conversions.occurred_at as converted_at,
        {{ utc_day('conversions.occurred_at') }} as converted_on,
        conversions.conversion_type,
        conversions.currency,
        round(
            greatest(conversions.revenue_cents - coalesce(refunds.refund_cents, 0), 0)
            * case when conversions.currency = '{{ policy("reporting_currency") }}' then 1 else rates.rate end
        )::bigint as revenue_cents,
        build.build_id
    from conversions
    cross join build
    left join refunds
        on conversions.conversion_id = refunds.conversion_id
    left join rates
        on
            conversions.currency = rates.currency
            and {{ utc_day('conversions.occurred_at') }} = rates.converted_on

)

{% if frozen_before %}

    -- Those without a rate were never published: they count while raw holds them.
    select * from net
    where
        (converted_on >= '{{ frozen_before }}'::date or revenue_cents is null)
        and not exists (

            select 1
            from frozen
            where frozen.conversion_id = net.conversion_id

        )

    union all

    select
        frozen.conversion_id,
        frozen.person_id,
        frozen.converted_at,
        frozen.converted_on,
        frozen.conversion_type,
        null as currency,
        frozen.revenue_cents,
        build.build_id
    from frozen
    cross join build
    {% if is_incremental() %}
        where frozen.conversion_id in (select changed.conversion_id from {{ affected }} as changed)
    {% endif %}

{% else %}

    select * from net

{% endif %}
