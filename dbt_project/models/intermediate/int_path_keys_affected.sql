{{
    config(
        indexes=[{'columns': ['path_sha256'], 'unique': true}],
        post_hook='analyze {{ this }}',
    )
}}

with

counts as (

    select * from {{ ref('int_path_counts') }}
    where build_id = {{ this_build() }}

)

-- Nothing in a full build: there every path is counted anew.
select path_sha256 from counts
{% if not is_delta() %}
    where false
{% endif %}
