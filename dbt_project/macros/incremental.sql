{# Incremental strategy `replace_affected`: delete by the affected keys, not by the keys of the new
   rows, so that rows which should disappear do. meta.affected: {relation, key}: the model that
   lists the keys, and the columns that make one up in both. #}
{% macro get_incremental_replace_affected_sql(arg_dict) -%}
    {%- set target = arg_dict['target_relation'] -%}
    {%- set affected = config.get('meta', {})['affected'] -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}

    delete from {{ target }} as kept
    using {{ ref(affected['relation']) }} as affected
    where
        {% for column in affected['key'] -%}
        kept.{{ column }} = affected.{{ column }}{{ ' and ' if not loop.last }}
        {%- endfor %};

    insert into {{ target }} ({{ columns }})
    select {{ columns }}
    from {{ arg_dict['temp_relation'] }}
{%- endmacro %}

{# Pre-hook of a model that adds to what it holds: in one build it may do so once. #}
{% macro refuse_to_add_twice() -%}
    {%- if is_incremental() -%}
    do $body$
    begin
        if exists (select from {{ this }} where build_id = {{ this_build() }}) then
            raise exception 'build {{ this_build() }} has added to {{ this }} already; the next build starts afresh';
        end if;
    end
    $body$
    {%- endif -%}
{%- endmacro %}

{# The last steps of a model that keeps sums by differences: what its CTE `parts` holds of each key, put on what is
   kept of these keys. key: columns; sums: column to type. A delta costs what it brings, whatever is summed up. #}
{% macro kept_sums(key, sums) -%}
    summands as (

        select
            {{ key | join(', ') }},
            {{ sums | join(', ') }}
        from parts
        {% if is_incremental() %}
            union all
            select
                {{ key | join(', ') }},
                {{ sums | join(', ') }}
            from {{ this }}
            where ({{ key | join(', ') }}) in (select {{ key | join(', ') }} from parts)
        {% endif %}

    ),

    build as (

        select * from {{ ref('stg_build') }}

    ),

    summed as (

        select
            {% for column in key %}
                summands.{{ column }},
            {% endfor %}
            {% for column, type in sums.items() %}
                sum(summands.{{ column }})::{{ type }} as {{ column }},
            {% endfor %}
            build.build_id
        from summands
        cross join build
        group by
            {% for column in key %}
                summands.{{ column }},
            {% endfor %}
            build.build_id

    )

    select * from summed
{%- endmacro %}

{# Columns and types of the sums of credit of every model: conversions, of these sign-ups if asked for, and revenue. #}
{% macro credit_sums(signups=false) -%}
    {%- set sums = {'touches': 'bigint'} -%}
    {%- for model in attribution_models() -%}
        {%- do sums.update({model ~ '_conversions': 'numeric(30, 12)'}) -%}
        {%- if signups -%}
            {%- do sums.update({model ~ '_signups': 'numeric(30, 12)'}) -%}
        {%- endif -%}
        {%- do sums.update({model ~ '_revenue_cents': 'bigint'}) -%}
    {%- endfor -%}
    {{ return(sums) }}
{%- endmacro %}

{# Post-hook: an index that dbt's own `indexes` cannot say (INCLUDE, WHERE), made once per table. #}
{% macro ensure_index(columns, include=none, where=none) -%}
    {{ return(adapter.dispatch('ensure_index', 'marketing_automation')(columns, include, where)) }}
{%- endmacro %}

{% macro postgres__ensure_index(columns, include, where) -%}
    {%- set tail = ' (' ~ columns ~ ')' ~ (' INCLUDE (' ~ include ~ ')' if include else '') -%}
    {%- set condition = ' WHERE ' ~ where if where else '' -%}
    do $body$
    begin
        if not exists (
            select
            from pg_catalog.pg_index
            where
                indrelid = '{{ this }}'::regclass
                and pg_get_indexdef(indexrelid) ilike '%' || '{{ tail }}' || '%'
        ) then
            create index on {{ this }}{{ tail }}{{ condition }};
        end if;
    end
    $body$
{%- endmacro %}

{% macro default__ensure_index(columns, include, where) -%}
{%- endmacro %}

{# Post-hook, outside the transaction: index-only scans need the visibility map, the planner needs
   statistics; both at once after a rebuild, by autovacuum later. #}
{% macro settle_table() -%}
    {%- if should_full_refresh() -%}
        vacuum (analyze) {{ this }}
    {%- endif -%}
{%- endmacro %}

{# Of a CTE that is a large table: PostgreSQL would write it out as soon as it is named twice, and find nothing by an
   index any more. #}
{% macro not_materialized() -%}
    not materialized
{%- endmacro %}

{# The rows of a relation of inviters and recipients that belong to the affected pairs, a look-up each: a join on two
   columns would be expected to find next to nothing. pairs: relation of inviter_id, recipient_key; condition: on `known`,
   a row of the relation. #}
{% macro of_pairs(relation, pairs, condition='true') -%}
    select found.*
        from {{ pairs }} as changed
        cross join lateral (

            select known.*
            from {{ relation }} as known
            where
                known.inviter_id = changed.inviter_id
                and known.recipient_key = changed.recipient_key
                and {{ condition }}
            {{ looked_up('known.inviter_id') }}

        ) as found
{%- endmacro %}

{# The end of a lateral subquery that is to be looked up row by row: PostgreSQL would make one join of it, between tables
   of which it misjudges how many rows meet. order_by: any column of the subquery. #}
{% macro looked_up(order_by) -%}
    order by {{ order_by }}
            offset 0
{%- endmacro %}
