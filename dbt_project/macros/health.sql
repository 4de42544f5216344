{# Whether the value of a row stands to its target as its comparison (>, >=, <, <=) says; null without one of them. #}
{% macro is_met(goal, value='value', target='target') -%}
    case
            when {{ goal }}.{{ value }} = {{ goal }}.{{ target }} then {{ goal }}.comparison in ('>=', '<=')
            else ({{ goal }}.{{ value }} > {{ goal }}.{{ target }}) = ({{ goal }}.comparison in ('>', '>='))
        end
{%- endmacro %}

{# met, missed, or no_data where there is no value. #}
{% macro goal_status(goal) -%}
    case
            when {{ goal }}.value is null then 'no_data'
            when {{ is_met(goal) }} then 'met'
            else 'missed'
        end
{%- endmacro %}

{# A number as a sentence has it: at most four decimals, none of them idle. #}
{% macro told(number) -%}
    trim_scale(round({{ number }}::numeric, 4))::text
{%- endmacro %}

{# An instant as a sentence has it, to the minute, UTC. #}
{% macro told_at(instant) -%}
    to_char(({{ instant }}) at time zone 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC'
{%- endmacro %}
