{# An id as it is compared where ids break a tie: by code point, whatever the database's own order. #}
{% macro by_code_point(id) -%}
    {{ return(adapter.dispatch('by_code_point', 'marketing_automation')(id)) }}
{%- endmacro %}

{% macro postgres__by_code_point(id) -%}
    {{ id }} collate "C"
{%- endmacro %}

{% macro default__by_code_point(id) -%}
    {{ id }}
{%- endmacro %}
