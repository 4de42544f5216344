{# The variant_id that names a campaign's control: its content as it was. #}
{% macro control_variant() -%}
    control
{%- endmacro %}

{# What names the aggregate of a kind in the week of as_of's last day. #}
{% macro week_subject(as_of) -%}
    'week-' || to_char({{ week_of(utc_day_before(as_of)) }}, 'YYYY-MM-DD')
{%- endmacro %}
