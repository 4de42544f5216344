{# Before the first model: join the build that `marketing build` opened for this process, or open a
   draft one for a plain `dbt build`. The build's row says as_of and whether it starts afresh. A plain
   `dbt test` judges what the latest build left. #}
{% macro join_build() -%}
    {%- if execute and flags.WHICH in ('build', 'run') -%}
        select ops.join_build(nullif('{{ env_var("MARKETING_AS_OF", "") }}', '')::timestamptz)
    {%- endif -%}
{%- endmacro %}

{# dbt asks this before each incremental model. A build that starts afresh does so for every model,
   however dbt was called; one that only credits anew, under another calibration, for those tagged `credit`. #}
{% macro should_full_refresh() -%}
    {%- if not execute -%}
        {{ return(false) }}
    {%- endif -%}
    {%- if flags.FULL_REFRESH -%}
        {{ return(true) }}
    {%- endif -%}
    {%- set build = run_query('select is_full, recredits from ops.current_build') -%}
    {{ return(build.rows[0][0] or (build.rows[0][1] and 'credit' in model.tags) if build.rows else true) }}
{%- endmacro %}

{# The calibration in force, as the build of now took it: id, method, its parameters (none: the policy's), and weights
   of channels in millionths. Literals: each method is another query. #}
{% macro calibration() -%}
    {%- set in_force = "from ops.attribution_calibrations where calibration_id ="
        ~ " (select build.calibration_id from ops.current_build as build)" -%}
    {%- set found = run_query(
        "select calibration_id, method, parameters ->> 'half_life_days', parameters ->> 'first_weight',"
        ~ " parameters ->> 'last_weight' " ~ in_force
    ) if execute else none -%}
    {%- set row = found.rows[0] if found and found.rows else [0, 'policy', none, none, none] -%}
    {%- set weights = run_query(
        "select weight.key, weight.value::bigint from (select weights " ~ in_force
        ~ ") as one cross join lateral jsonb_each_text(one.weights) as weight order by 1"
    ).rows if row[0] else [] -%}
    {{ return({
        'id': row[0],
        'method': row[1],
        'half_life_days': row[2],
        'first_weight': row[3],
        'last_weight': row[4],
        'weights': weights,
    }) }}
{%- endmacro %}

{# Whether this build computes only what new facts can affect; for models that are no incremental
   materialisation themselves. #}
{% macro is_delta() -%}
    {{ return(not should_full_refresh()) }}
{%- endmacro %}

{# Number of this build, as a literal: the planner knows that few rows bear it, which it cannot know of
   the outcome of a subquery. #}
{% macro this_build() -%}
    {%- set build = run_query('select build_id from ops.current_build') if execute else none -%}
    {{- build.rows[0][0] if build and build.rows else 'null' -}}
{%- endmacro %}

{# Loads of a feed that this build must look at and its base did not, for `where load_id in (...)`; none
   in a full build. seen_before: only those that an earlier build had, of which models know some records
   or all: records have come due since, or were handed over to it. Literals, because of an unknown load the planner expects as much as of the average
   one, and the first is often the whole table. #}
{% macro new_loads(feed, seen_before=false) -%}
    {%- set arrived = ref('stg_loads__new') -%}
    {%- set loads = [] -%}
    {%- if execute and is_delta() -%}
        {%- set seen = ' and is_seen_before' if seen_before else '' -%}
        {%- set query = "select load_id from " ~ arrived ~ " where feed = '" ~ feed ~ "'" ~ seen ~ " order by load_id" -%}
        {%- set loads = run_query(query).columns[0].values() -%}
    {%- endif -%}
    {{- loads | join(', ') or 'null' -}}
{%- endmacro %}

{# Whether staging shows a row to this build: its load was claimed, is not held, and its own time is
   not after as_of. #}
{% macro is_visible(own_time) -%}
    load_id not in (select hidden.load_id from {{ source('raw', 'hidden_loads') }} as hidden)
    and {{ is_not_after_as_of(own_time) }}
{%- endmacro %}

{% macro is_not_after_as_of(own_time) -%}
    {{ own_time }} <= (select build.as_of from {{ source('ops', 'current_build') }} as build)
{%- endmacro %}

{# Marts older than frozen_before are kept as published and never rebuilt: what a model computes starts
   there, and the rest comes from marts. #}
{% macro is_not_frozen(day) -%}
    {{ day }} >= coalesce((select build.frozen_before from {{ ref('stg_build') }} as build), '-infinity'::date)
{%- endmacro %}

{# That day, as a literal for models that read what was published before it; none while no day is frozen. #}
{% macro frozen_before() -%}
    {%- set running = execute and flags.WHICH in ('build', 'run', 'test') and model.resource_type != 'unit_test' -%}
    {%- set build = run_query('select frozen_before from ops.current_build') if running else none -%}
    {{ return(build.rows[0][0] if build and build.rows else none) }}
{%- endmacro %}

{# What was computed and, where a table is made anew, the frozen rows; an incremental one has them. #}
{% macro with_frozen(computed, day) -%}
    {%- set frozen_before = frozen_before() -%}
    {%- if frozen_before and not is_incremental() -%}
        {%- set columns = model.columns.keys() | join(', ') -%}
select {{ columns }} from {{ computed }}

union all

select {{ columns }}
from {{ published(this.identifier) }}
where {{ day }} < '{{ frozen_before }}'::date
    {%- else -%}
select * from {{ computed }}
    {%- endif -%}
{%- endmacro %}

{# A mart as the base of this build published it: where an incremental build looks up what it replaces. #}
{% macro published(name) -%}
    marts.{{ name }}
{%- endmacro %}

{# A table of the intermediate layer as the base of this build left it, for a model that must read it before it is
   written: no reference, which would be a circle. #}
{% macro standing(name) -%}
    intermediate.{{ name }}
{%- endmacro %}

{# What was published last of a model that rests; nothing before the first publication. #}
{% macro as_published(computed) -%}
    {%- set columns = model.columns.keys() | join(', ') -%}
    {%- set published = adapter.get_relation(this.database, 'marts', this.identifier) if execute else none -%}
select {{ columns }} from {{ published or computed }}
{{- '' if published else ' where false' }}
{%- endmacro %}
