{{ config(post_hook='analyze {{ this }}') }}

-- The paths that this build takes out, as its base left them: read before int_paths is written.
{% if is_delta() %}
    select standing.*
    from {{ standing('int_paths') }} as standing
    inner join {{ ref('int_paths_affected') }} as affected
        on standing.path_id = affected.path_id
{% else %}
    select
        affected.path_id,
        null::text as person_id
    from {{ ref('int_paths_affected') }} as affected
    where false
{% endif %}
