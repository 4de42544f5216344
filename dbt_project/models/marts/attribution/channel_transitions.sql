{%- set orders = [1, 2, policy('attribution_markov_order') | int] | unique | sort %}

with

steps as (

    select * from {{ ref('int_path_transitions') }}
    where steps > 0

),

-- A state is the last channels touched, as many as the order; of a higher order it forgets the oldest.
by_order as (

    {% for order in orders %}
        select
            {{ order }} as markov_order,
            {{ last_of_list('from_channels', order) }} as from_channels,
            to_kind,
            case when to_kind = 'channel' then from_channels || to_channel end as to_channels,
            steps
        from steps
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

named as (

    select
        markov_order,
        coalesce(nullif({{ told_path('from_channels') }}, ''), '(start)') as from_state,
        case
            when to_kind = 'channel' then {{ told_path(last_of_list('to_channels', 'markov_order')) }}
            else '(' || to_kind || ')'
        end as to_state,
        steps
    from by_order

),

counted as (

    select
        markov_order,
        from_state,
        to_state,
        sum(steps)::bigint as transitions
    from named
    group by
        markov_order,
        from_state,
        to_state

)

select
    markov_order,
    from_state,
    to_state,
    transitions,
    {{ ratio('transitions', 'sum(transitions) over (partition by markov_order, from_state)') }} as probability
from counted
