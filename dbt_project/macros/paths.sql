{# The group of persons to which a person is dealt, the same for ever: persons are resampled by groups. #}
{% macro person_group(person_id) -%}
    {{ return(dealt_group(person_id, policy('attribution_person_groups'))) }}
{%- endmacro %}

{# What names a path: its conversion, or the person of whom it is the one that did not convert. #}
{% macro path_of_conversion(conversion_id) -%}
    'conversion:' || {{ conversion_id }}
{%- endmacro %}

{% macro path_of_person(person_id) -%}
    'person:' || {{ person_id }}
{%- endmacro %}

{# A path as the policy wants it: cut to its last steps, then without direct touches where others are, then
   transformed. Names and meanings are those of the field (orchestration/attribution/paths.py has the same). #}
{% macro transformed_path(channels) -%}
    {%- set steps = policy('attribution_path_max_steps') | int -%}
    {%- set path = channels -%}
    {%- if steps -%}
        {%- set path = last_of_list(path, steps) -%}
    {%- endif -%}
    {%- set direct = policy('attribution_direct_touches') -%}
    {%- if direct == 'drop' -%}
        {%- set path = without_unless_all(path, 'direct') -%}
    {%- elif direct == 'drop_last' -%}
        {%- set path = without_last_unless_all(path, 'direct') -%}
    {%- endif -%}
    {%- set transform = policy('attribution_path_transform') -%}
    {%- if transform == 'exposure' -%}
        {%- set path = without_repeats(path) -%}
    {%- elif transform in ('first', 'frequency') -%}
        {%- set path = first_of_each(path, counted=transform == 'frequency') -%}
    {%- endif -%}
    {{- path -}}
{%- endmacro %}

{# What lists of channels are made of, per engine. #}
{% macro last_of_list(list, length) -%}
    ({{ list }})[greatest(1, cardinality({{ list }}) - {{ length }} + 1):]
{%- endmacro %}

{% macro without_unless_all(list, channel) -%}
    coalesce(nullif(array_remove({{ list }}, '{{ channel }}'), '{}'), {{ list }})
{%- endmacro %}

{% macro without_last_unless_all(list, channel) -%}
    ({{ list }})[
        :(
            select coalesce(max(one.place) filter (where one.channel <> '{{ channel }}'), count(*))::integer
            from unnest({{ list }}) with ordinality as one (channel, place)
        )
    ]
{%- endmacro %}

{% macro without_repeats(list) -%}
    (
        select array_agg(one.channel order by one.place)
        from (
            select
                each.channel,
                each.place,
                lag(each.channel) over (order by each.place) as previous_channel
            from unnest({{ list }}) with ordinality as each (channel, place)
        ) as one
        where one.channel is distinct from one.previous_channel
    )
{%- endmacro %}

{% macro first_of_each(list, counted=false) -%}
    (
        select
            array_agg(
                one.channel{{ " || '(' || one.touches || ')'" if counted }}
                order by one.place
            )
        from (
            select
                each.channel,
                min(each.place) as place,
                count(*) as touches
            from unnest({{ list }}) with ordinality as each (channel, place)
            group by each.channel
        ) as one
    )
{%- endmacro %}

{# The distinct channels of a path, in order of name. #}
{% macro channel_set(path) -%}
    array(
        select distinct {{ by_code_point('one.channel') }}
        from unnest({{ path }}) as one (channel)
        order by {{ by_code_point('one.channel') }}
    )
{%- endmacro %}

{# The channels of a path as people write it. #}
{% macro told_path(path) -%}
    array_to_string({{ path }}, ' > ')
{%- endmacro %}

{# The key of a path, or of any list of channels: it can be longer than what an index takes. #}
{% macro path_key(path) -%}
    encode(sha256(convert_to({{ told_path(path) }}, 'UTF8')), 'hex')
{%- endmacro %}

{# The highest order of the Markov chains that are fitted. #}
{% macro highest_markov_order() -%}
    4
{%- endmacro %}

{# What a delta adds to the sums over paths: the paths that it made, less those that they replace; in a full
   build all paths. sign is 1 or -1. #}
{% macro path_changes() -%}
{%- set replaced = ref('int_paths_replaced') -%}
    select
        paths.*,
        1 as sign
    from {{ ref('int_paths') }} as paths
    {% if is_incremental() %}
        where paths.build_id = {{ this_build() }}

        union all

        select
            replaced.*,
            -1 as sign
        from {{ replaced }} as replaced
    {% endif %}
{%- endmacro %}
