{{
    config(meta={
        'description': 'Each invite that raw holds has one row, with one outcome, and a reason exactly where it is rejected; credited are those that brought a credited join.',
        'dagster': {'ref': {'name': 'fct_invites'}},
    })
}}
{%- set arrived = new_loads('viral_actions') %}

with

-- Of the loads that are new to this build; of all in a full one.
arrived as (

    select
        coalesce(invite_id, event_id) as invite_id,
        min(occurred_at) as sent_at
    from {{ ref('stg_viral_actions') }}
    where
        action_type = 'invite_sent'
        {% if flags.WHICH == 'build' and is_delta() %}
            and load_id in ({{ arrived }})
        {% endif %}
    group by coalesce(invite_id, event_id)

),

lost as (

    select count(*) as invites
    from arrived
    left join {{ ref('fct_invites') }} as told
        on
            arrived.invite_id = told.invite_id
            and arrived.sent_at >= told.sent_at
    where
        told.invite_id is null
        and {{ is_not_frozen(utc_day('arrived.sent_at')) }}

),

sent as (

    select count(*) as invites
    from {{ ref('int_invites_sent') }} as sends
    where
        {{ is_not_frozen(utc_day('sends.sent_at')) }}
        {% if frozen_before() %}
            -- A further send under the name of a frozen invite is none of its own.
            and not exists (

                select 1
                from {{ ref('fct_invites') }} as frozen
                where
                    frozen.invite_id = sends.invite_id
                    and frozen.sent_at < {{ utc_midnight("'" ~ frozen_before() ~ "'::date") }}

            )
        {% endif %}

),

told as (

    select
        count(*) as invites,
        count(*) filter (
            where outcome in ('credited', 'pending', 'expired') and rejected_reason is null
        ) as not_rejected,
        count(*) filter (where outcome = 'rejected' and rejected_reason is not null) as rejected,
        count(*) filter (where outcome = 'credited') as credited
    from {{ ref('fct_invites') }}
    where {{ is_not_frozen(utc_day('sent_at')) }}

),

joins as (

    select count(distinct invite_id) as credited
    from {{ ref('fct_referrals') }}
    where
        rejected_reason is null
        and {{ is_not_frozen(utc_day('sent_at')) }}

)

select
    lost.invites as lost,
    sent.invites as sent,
    told.invites as told,
    told.not_rejected,
    told.rejected,
    told.credited,
    joins.credited as credited_by_joins
from lost
cross join sent
cross join told
cross join joins
where
    {{ viral_tracking_is_on() }}
    and (
        lost.invites > 0
        or sent.invites <> told.invites
        or told.invites <> told.not_rejected + told.rejected
        or told.credited <> joins.credited
    )
