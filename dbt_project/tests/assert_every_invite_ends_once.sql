{{
    config(meta={
        'description': 'Each invite that was sent has one row, with one outcome, and a reason exactly where it is rejected; credited are those that brought a credited join.',
        'dagster': {'ref': {'name': 'fct_invites'}},
    })
}}

with

sent as (

    select count(*) as invites
    from {{ ref('int_invites_sent') }}
    where {{ is_not_frozen(utc_day('sent_at')) }}

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
    sent.invites as sent,
    told.invites as told,
    told.not_rejected,
    told.rejected,
    told.credited,
    joins.credited as credited_by_joins
from sent
cross join told
cross join joins
where
    {{ viral_tracking_is_on() }}
    and (
        sent.invites <> told.invites
        or told.invites <> told.not_rejected + told.rejected
        or told.credited <> joins.credited
    )
