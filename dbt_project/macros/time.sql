{# Seconds of an interval, to the microsecond. #}
{% macro seconds(duration) -%}
    extract(epoch from {{ duration }})
{%- endmacro %}

{# A number of minutes as a duration. #}
{% macro minutes(number) -%}
    make_interval(mins => ({{ number }})::integer)
{%- endmacro %}

{# A number of hours as a duration. #}
{% macro hours(number) -%}
    make_interval(hours => {{ number }}::integer)
{%- endmacro %}

{# A number of days as a duration of exactly 24 hours each. #}
{% macro days(number) -%}
    make_interval(hours => 24 * {{ number }}::integer)
{%- endmacro %}

{# The calendar day of an instant, in UTC. #}
{% macro utc_day(instant) -%}
    (({{ instant }}) at time zone 'UTC')::date
{%- endmacro %}

{# The calendar day, in UTC, of the last moment before an instant: of midnight the day that ends there. #}
{% macro utc_day_before(instant) -%}
    {{ utc_day(instant ~ " - interval '1 microsecond'") }}
{%- endmacro %}

{# The instant at which a day begins, in UTC. #}
{% macro utc_midnight(day) -%}
    (({{ day }})::timestamp at time zone 'UTC')
{%- endmacro %}

{# A duration in whole microseconds. #}
{% macro microseconds(duration) -%}
    (extract(epoch from {{ duration }}) * 1000000)::bigint
{%- endmacro %}

{% macro microseconds_per_hour() -%}
    3600000000
{%- endmacro %}

{# The instant at which the hour of an instant begins, in UTC. #}
{% macro utc_hour(instant) -%}
    date_trunc('hour', {{ instant }}, 'UTC')
{%- endmacro %}

{# The Monday of a day's week. #}
{% macro week_of(day) -%}
    date_trunc('week', ({{ day }})::timestamp)::date
{%- endmacro %}

{# Whole numbers from one to another, as rows. #}
{% macro whole_numbers(first, last) -%}
    {{ return(adapter.dispatch('whole_numbers', 'marketing_automation')(first, last)) }}
{%- endmacro %}

{% macro postgres__whole_numbers(first, last) -%}
    generate_series({{ first }}, {{ last }})
{%- endmacro %}
