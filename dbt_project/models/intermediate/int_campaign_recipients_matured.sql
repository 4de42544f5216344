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

-- Delivered recipients with a conversion of any type in the window: by mail address to the user.
converted as (

    select distinct
        matured.campaign_id,
        matured.recipient_key
    from matured
    inner join users
        on matured.recipient_key = users.email_key
    inner join conversions
        on
            users.user_id = conversions.person_id
            and conversions.converted_at >= matured.delivered_at
            and conversions.converted_at <= matured.delivered_at + {{ window }}
    where matured.is_mature

),

judged as (

    select
        matured.*,
        converted.recipient_key is not null as is_converted
    from matured
    left join converted
        on
            matured.campaign_id = converted.campaign_id
            and matured.recipient_key = converted.recipient_key

)

select * from judged
