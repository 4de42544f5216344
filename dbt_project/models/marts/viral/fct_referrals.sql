{{
    config(
        materialized='incremental',
        incremental_strategy='replace_affected',
        on_schema_change='fail',
        meta={'affected': {'relation': 'int_inviters_affected', 'key': ['inviter_id']}},
        indexes=[
            {'columns': ['user_id'], 'unique': true},
            {'columns': ['inviter_id']},
            {'columns': ['invite_id']},
        ],
        post_hook=[
            "{{ ensure_index('user_id', where=\"rejected_reason = 'ring'\") }}",
            {'sql': '{{ settle_table() }}', 'transaction': false},
        ],
    )
}}
{%- set affected = ref('int_inviters_affected') %}
{%- set most = policy('viral_burst_joins') %}
{%- set span = hours(policy('viral_burst_hours')) %}

with

joins as (

    select * from {{ ref('int_joins_matched') }}
    {% if is_incremental() %}
        where inviter_id in (select changed.inviter_id from {{ affected }} as changed)
    {% endif %}

),

in_rings as (

    select * from {{ ref('int_joins_in_rings') }}

),

judged as (

    select
        joins.*,
        case
            when joins.mailbox_key = joins.inviter_mailbox_key then 'self'
            when in_rings.user_id is not null then 'ring'
        end as rejected_reason
    from joins
    left join in_rings
        on joins.user_id = in_rings.user_id

),

-- Where the join so many credited ones further on is still within the span, a burst begins.
numbered as (

    select
        user_id,
        inviter_id,
        joined_at,
        lead(joined_at, {{ most }}) over one_after_another <= joined_at + {{ span }} as begins_burst
    from judged
    where rejected_reason is null
    window one_after_another as (
        partition by inviter_id
        order by joined_at, {{ by_code_point('user_id') }}
    )

),

bursts as (

    select
        user_id,
        bool_or(begins_burst) over (
            partition by inviter_id
            order by joined_at, {{ by_code_point('user_id') }}
            rows between {{ most }} preceding and current row
        ) as is_burst
    from numbered

),

flagged as (

    select
        judged.user_id,
        judged.joined_at,
        judged.inviter_id,
        judged.inviter_joined_at,
        judged.invite_id,
        judged.sent_at,
        judged.rejected_reason,
        judged.rejected_reason is null
        and coalesce({{ is_within_horizon('judged.joined_at', 'judged.inviter_joined_at') }}, false)
            as is_within_horizon,
        coalesce(bursts.is_burst, false) as is_burst,
        judged.email_is_disposable as is_disposable
    from judged
    left join bursts
        on judged.user_id = bursts.user_id

),

-- Whose reward it is: from the threshold-th join that counts on, each earns a multiple.
counted as (

    select
        *,
        rejected_reason is null and not is_burst and not is_disposable as is_net,
        count(*) filter (where rejected_reason is null and not is_burst and not is_disposable) over (
            partition by inviter_id
            order by joined_at, {{ by_code_point('user_id') }}
            rows between unbounded preceding and 1 preceding
        ) as net_joins_before
    from flagged

),

rewarded as (

    select
        user_id,
        joined_at,
        inviter_id,
        inviter_joined_at,
        invite_id,
        sent_at,
        rejected_reason,
        is_within_horizon,
        is_burst,
        is_disposable,
        is_net,
        round(
            {{ policy('viral_reward_cents') }}
            * case
                when net_joins_before + 1 >= {{ policy('super_connector_threshold') }}
                    then {{ policy('viral_incentive_multiplier') }}
                else 1
            end
        )::bigint as reward_cents
    from counted

)

{{ unless_resting('rewarded') }}
