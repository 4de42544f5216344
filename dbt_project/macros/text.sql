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

{# A text without white space around it, tabs and line ends included. #}
{% macro stripped(text) -%}
    {{ return(adapter.dispatch('stripped', 'marketing_automation')(text)) }}
{%- endmacro %}

{% macro postgres__stripped(text) -%}
    btrim({{ text }}, e' \t\n\r\f\x0b')
{%- endmacro %}

{# The group, of so many, to which an id is dealt: the same for ever. #}
{% macro dealt_group(id, groups) -%}
    {{ return(adapter.dispatch('dealt_group', 'marketing_automation')(id, groups)) }}
{%- endmacro %}

{% macro postgres__dealt_group(id, groups) -%}
    ('x' || left(md5({{ id }}), 7))::bit(28)::integer % {{ groups }}
{%- endmacro %}

{# A field of a JSON object as text; null where there is none. #}
{% macro json_text(object, field) -%}
    {{ return(adapter.dispatch('json_text', 'marketing_automation')(object, field)) }}
{%- endmacro %}

{% macro postgres__json_text(object, field) -%}
    ({{ object }} ->> '{{ field }}')
{%- endmacro %}
