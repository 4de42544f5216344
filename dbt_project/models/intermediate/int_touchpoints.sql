{{
    config(
        materialized='incremental',
        incremental_strategy='replace_affected',
        meta={'affected': {'relation': 'int_anonymous_ids_affected', 'key': ['anonymous_id']}},
        indexes=[{'columns': ['build_id']}],
        post_hook=[
            "{{ ensure_index('person_id, touched_at', include='touchpoint_id, channel, campaign_id') }}",
            "{{ ensure_index('anonymous_id', where='anonymous_id is not null') }}",
            {'sql': '{{ settle_table() }}', 'transaction': false},
        ],
    )
}}
{%- set affected = ref('int_anonymous_ids_affected') %}
{%- set arrived = new_loads('touchpoints') %}
{%- set seen_before = new_loads('touchpoints', seen_before=true) %}

-- No index on touchpoint_id: raw holds each once, and a place more to write to for each new touch is what an
-- incremental build would pay for most.
with

touches as (

    select
        event_id as touchpoint_id,
        user_id,
        case when user_id is null then anonymous_id end as anonymous_id,
        occurred_at as touched_at,
        channel,
        coalesce(campaign_id, '(none)') as campaign_id,
        load_id in ({{ seen_before }}) as may_be_known
    from {{ ref('stg_touchpoints') }}
    {% if is_incremental() %}
        where load_id in ({{ arrived }})
    {% endif %}

),

intervals as (

    select * from {{ ref('int_identity_intervals') }}

),

build as (

    select * from {{ ref('stg_build') }}

),

{% if is_incremental() %}

    -- Everything known under an anonymous id about which something new is claimed.
    relinked as (

        select known.*
        from {{ affected }} as changed
        inner join {{ this }} as known
            on changed.anonymous_id = known.anonymous_id

    ),

    to_resolve as (

        select
            touches.*,
            null::text as known_person_id,
            null::bigint as known_build_id
        from touches
        left join relinked
            on touches.touchpoint_id = relinked.touchpoint_id
        where relinked.touchpoint_id is null

        union all

        select
            touchpoint_id,
            null::text as user_id,
            anonymous_id,
            touched_at,
            channel,
            campaign_id,
            false as may_be_known,
            person_id as known_person_id,
            build_id as known_build_id
        from relinked

    ),

{% else %}

    to_resolve as (

        select
            touches.*,
            null::text as known_person_id,
            null::bigint as known_build_id
        from touches

    ),

{% endif %}

resolved as (

    select
        to_resolve.touchpoint_id,
        coalesce(to_resolve.user_id, intervals.user_id, 'anon:' || to_resolve.anonymous_id) as person_id,
        to_resolve.touched_at,
        to_resolve.channel,
        to_resolve.campaign_id,
        to_resolve.anonymous_id,
        to_resolve.may_be_known,
        to_resolve.known_person_id,
        to_resolve.known_build_id
    from to_resolve
    left join intervals
        on
            to_resolve.user_id is null
            and to_resolve.anonymous_id = intervals.anonymous_id
            and to_resolve.touched_at >= intervals.valid_from
            and to_resolve.touched_at < intervals.valid_to

),

-- build_id marks what this build changed, previous_person_id from whom a touch was taken: both say
-- which journeys to credit again.
changed as (

    select
        resolved.touchpoint_id,
        resolved.person_id,
        resolved.touched_at,
        resolved.channel,
        resolved.campaign_id,
        resolved.anonymous_id,
        case
            when resolved.known_person_id = resolved.person_id then resolved.known_build_id
            else build.build_id
        end as build_id,
        nullif(resolved.known_person_id, resolved.person_id) as previous_person_id
    from resolved
    cross join build
    {% if is_incremental() %}
        -- What is known of a load that is looked at again stands where its person's touches do. The case
        -- spares all others the look.
        left join {{ this }} as known
            on
                case when resolved.may_be_known then resolved.person_id end = known.person_id
                and resolved.touched_at = known.touched_at
                and resolved.touchpoint_id = known.touchpoint_id
        where known.touchpoint_id is null
        -- Their places in the index lie in this order.
        order by
            resolved.person_id,
            resolved.touched_at
    {% endif %}

)

select * from changed
