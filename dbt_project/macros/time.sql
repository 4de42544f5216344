{# Seconds of an interval, to the microsecond. #}
{% macro seconds(duration) -%}
    extract(epoch from {{ duration }})
{%- endmacro %}

{# A number of days as a duration of exactly 24 hours each. #}
{% macro days(number) -%}
    make_interval(hours => 24 * {{ number }}::integer)
{%- endmacro %}

{# The calendar day of an instant, in UTC. #}
{% macro utc_day(instant) -%}
    (({{ instant }}) at time zone 'UTC')::date
{%- endmacro %}

{# The instant at which a day begins, in UTC. #}
{% macro utc_midnight(day) -%}
    (({{ day }})::timestamp at time zone 'UTC')
{%- endmacro %}
