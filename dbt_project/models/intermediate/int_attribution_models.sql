{{ config(materialized='view') }}

{% for model in attribution_models() %}
    select '{{ model }}' as attribution_model
    {{ 'union all' if not loop.last }}
{% endfor %}
