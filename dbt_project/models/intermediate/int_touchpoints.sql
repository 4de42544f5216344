{{
    config(
        materialized='incremental',
        incremental_strategy='upsert',
        unique_key='touchpoint_id',
        indexes=[{'columns': ['touchpoint_id'], 'unique': true}, {'columns': ['build_id']}],
        post_hook=[
            "{{ ensure_index('person_id, touched_at', include='touchpoint_id, channel, campaign_id') }}",
            "{{ ensure_index('anonymous_id', where='has_user_id = false') }}",
            {'sql': '{{ settle_table() }}', 'transaction': false},
        ],
    )
}}
{%- set affected = ref('int_anonymous_ids_affected') %}
{%- set arrived = new_loads('touchpoints') %}

with

touches as (

    select
        event_id as touchpoint_id,
        user_id,
        anonymous_id,
        occurred_at as touched_at,
        channel,
        coalesce(campaign_id, '(none)') as campaign_id,
        user_id is not null as has_user_id
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

    -- New ones, and those that are known under an anonymous id about which something new is claimed.
    to_resolve as (

        select
            touches.*,
            null::text as known_person_id
        from touches
        left join {{ this }} as known
            on touches.touchpoint_id = known.touchpoint_id
        where known.touchpoint_id is null

        union all

        select
            known.touchpoint_id,
            null::text as user_id,
            known.anonymous_id,
            known.touched_at,
            known.channel,
            known.campaign_id,
            known.has_user_id,
            known.person_id as known_person_id
        from {{ affected }} as relinked
        inner join {{ this }} as known
            on relinked.anonymous_id = known.anonymous_id
        where known.has_user_id = false

    ),

{% else %}

    to_resolve as (

        select
            touches.*,
            null::text as known_person_id
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
        to_resolve.has_user_id,
        to_resolve.known_person_id
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
        resolved.has_user_id,
        build.build_id,
        resolved.known_person_id as previous_person_id
    from resolved
    cross join build
    where resolved.known_person_id is distinct from resolved.person_id

)

select * from changed
