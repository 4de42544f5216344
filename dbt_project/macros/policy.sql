{# The policy value `name`: the environment variable of that name in capitals, else the var in
   dbt_project.yml. The same rule as orchestration/policy.py, which also checks type and range. #}
{% macro policy(name) -%}
    {%- set found = env_var(name | upper, '') -%}
    {{- found if found | trim else var(name) -}}
{%- endmacro %}

{# The model that the headline speaks of: multi_touch (or data_driven) means data_driven once a calibration
   has been promoted, and position_based until then. #}
{% macro headline_model() -%}
    {%- set model = policy('attribution_model') -%}
    {%- if model in ['multi_touch', 'data_driven'] -%}
        {%- set model = 'data_driven' if calibration().id else 'position_based' -%}
    {%- endif -%}
    {{- model -}}
{%- endmacro %}

{# Whether the viral models work; while they rest, their marts keep what was published last. #}
{% macro viral_tracking_is_on() -%}
    {%- set switch = policy('viral_tracking_enabled') | trim | lower -%}
    {{ return(switch in ['true', 't', 'yes', 'y', 'on', '1']) }}
{%- endmacro %}
