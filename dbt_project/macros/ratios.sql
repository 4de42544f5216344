{# One division, to 12 decimals; null where there is nothing to divide by. The cast before it keeps
   enough digits whatever the size of the quotient. #}
{% macro ratio(numerator, denominator) -%}
    (({{ numerator }})::numeric(50, 20) / nullif({{ denominator }}, 0))::numeric(38, 12)
{%- endmacro %}

{# The quotient of two integers, none of them negative, rounded down. #}
{% macro whole_quotient(numerator, denominator) -%}
    (({{ numerator }}) / ({{ denominator }}))
{%- endmacro %}

{# The quotient of two integers, none of them negative, rounded to the nearest one, halves up. #}
{% macro rounded_quotient(numerator, denominator) -%}
    {{ whole_quotient(numerator ~ ' + ' ~ whole_quotient(denominator, 2), denominator) }}
{%- endmacro %}
