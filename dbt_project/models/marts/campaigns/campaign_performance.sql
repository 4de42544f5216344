{{ config(indexes=[{'columns': ['campaign_id'], 'unique': true}]) }}

with

campaigns as (

    select * from {{ ref('stg_campaigns') }}

),

recipients as (

    select * from {{ ref('int_campaign_recipients_matured') }}

),

by_campaign as (

    select
        campaign_id,
        count(sent_at) as sent,
        count(delivered_at) as delivered,
        count(bounced_at) as bounced,
        count(opened_at) as opened,
        count(clicked_at) as clicked,
        count(unsubscribed_at) as unsubscribed,
        count(complained_at) as complained,
        count(*) filter (where sent_at is not null and delivered_at is not null) as sent_and_delivered,
        count(*) filter (where opened_at is not null and delivered_at is not null) as delivered_and_opened,
        count(*) filter (where clicked_at is not null and delivered_at is not null) as delivered_and_clicked,
        count(*) filter (where is_mature) as matured_delivered,
        count(*) filter (where is_converted) as converted
    from recipients
    group by campaign_id

),

rates as (

    select
        campaign_id,
        campaigns.campaign_name,
        campaigns.channel,
        campaigns.campaign_status,
        coalesce(by_campaign.sent, 0) as sent,
        coalesce(by_campaign.delivered, 0) as delivered,
        coalesce(by_campaign.bounced, 0) as bounced,
        coalesce(by_campaign.opened, 0) as opened,
        coalesce(by_campaign.clicked, 0) as clicked,
        coalesce(by_campaign.unsubscribed, 0) as unsubscribed,
        coalesce(by_campaign.complained, 0) as complained,
        coalesce(by_campaign.matured_delivered, 0) as matured_delivered,
        coalesce(by_campaign.converted, 0) as converted,
        {{ ratio('by_campaign.sent_and_delivered', 'by_campaign.sent') }} as delivery_rate,
        {{ ratio('by_campaign.delivered_and_opened', 'by_campaign.delivered') }} as open_rate,
        {{ ratio('by_campaign.delivered_and_clicked', 'by_campaign.delivered') }} as click_rate,
        {{ ratio('by_campaign.converted', 'by_campaign.matured_delivered') }} as conversion_rate
    from by_campaign
    full join campaigns using (campaign_id)

)

select * from rates
