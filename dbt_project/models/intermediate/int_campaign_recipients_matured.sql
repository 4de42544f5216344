{%- set window = days(policy('campaign_conversion_window_days')) %}

with

recipients as (

    select * from {{ ref('int_campaign_recipients') }}

),

users as (

    select * from {{ ref('int_users') }}

),

conversions as (

    select * from {{ ref('int_conversions') }}

),

build as (

    select * from {{ ref('stg_build') }}

),

matured as (

    select
        recipients.*,
        coalesce(recipients.delivered_at <= build.as_of - {{ window }}, false) as is_mature
    from recipients
    cross join build

),

-- Their first conversion of any type in the window, so far: by mail address to the user.
converted as (

    select
        matured.campaign_id,
        matured.recipient_key,
        min(conversions.converted_at) as converted_at
    from matured
    inner join users
        on matured.recipient_key = users.email_key
    inner join conversions
        on
            users.user_id = conversions.person_id
            and conversions.converted_at >= matured.delivered_at
            and conversions.converted_at <= matured.delivered_at + {{ window }}
    group by
        matured.campaign_id,
        matured.recipient_key

),

judged as (

    select
        matured.*,
        converted.converted_at,
        matured.is_mature and converted.converted_at is not null as is_converted
    from matured
    left join converted
        on
            matured.campaign_id = converted.campaign_id
            and matured.recipient_key = converted.recipient_key

)

select * from judged
