{# The group to which a referral tree is dealt, the same for ever: trees are resampled by groups. #}
{% macro tree_group(root_id) -%}
    {{ return(dealt_group(root_id, policy('viral_tree_groups'))) }}
{%- endmacro %}

{# Whether an instant lies within the horizon of a user's own join, both ends in. #}
{% macro is_within_horizon(instant, joined_at) -%}
    {{ instant }} >= {{ joined_at }}
            and {{ instant }} <= {{ joined_at }} + {{ days(policy('viral_horizon_days')) }}
{%- endmacro %}

{# The last step of a viral mart: what was computed, with the frozen days where `day` names a column of them. While
   viral tracking is off, a mart stays as it was published: a delta has nothing to add to it. #}
{% macro unless_resting(computed, day=none) -%}
    {%- if viral_tracking_is_on() or is_incremental() -%}
{{ with_frozen(computed, day) if day else 'select * from ' ~ computed }}
    {%- else -%}
{{ log('viral tracking is off (VIRAL_TRACKING_ENABLED): ' ~ this.identifier ~ ' stays as published', info=execute) -}}
{{ as_published(computed) }}
    {%- endif -%}
{%- endmacro %}

{# What counts of users, invites and joins, summed over a cohort's rows. #}
{% macro cohort_sums() -%}
    sum(users)::bigint as users,
        sum(invites)::bigint as invites,
        sum(opened_invites)::bigint as opened_invites,
        sum(credited_joins)::bigint as credited_joins,
        sum(net_joins)::bigint as net_joins
{%- endmacro %}

{# Users weighted by how much of what they will bring within the horizon shows by now: of one bucket of users who
   joined in the same hour, taken at their mean age. hours: whole hours of that age; rest: microseconds beyond them,
   summed over the users; share, next_share: the lag distribution at these hours and one later. Null without one. #}
{% macro exposure(users, hours, rest, share, next_share) -%}
    case
            when {{ hours }} >= {{ policy('viral_horizon_days') }} * 24 then {{ users }}
            else round(
                {{ users }} * {{ share }}
                + ({{ next_share }} - {{ share }}) * {{ rest }}::numeric(50, 20) / {{ microseconds_per_hour() }},
                12
            )
        end
{%- endmacro %}

{# K of a row of sums: invites per user and joins per invite as they stand, and what the cohort will have brought when
   its horizon is over, with all credited joins and without the flagged ones. #}
{% macro coefficients(row) -%}
    {{ ratio(row ~ '.invites', row ~ '.users') }} as invites_per_user,
        {{ ratio(row ~ '.credited_joins', row ~ '.invites') }} as conversion_per_invite,
        {{ ratio(row ~ '.credited_joins', row ~ '.users') }} as k_observed,
        {{ ratio(row ~ '.credited_joins', row ~ '.exposure') }} as k_gross,
        {{ ratio(row ~ '.net_joins', row ~ '.exposure') }} as k_net,
        {{ ratio(row ~ '.exposure', row ~ '.users') }} as maturity,
        {{ ratio(row ~ '.net_joins', row ~ '.exposure') }} as k_adjusted
{%- endmacro %}

{# How far on either side of the horizon the density of lags there is measured: a week, where that is at most half of it. #}
{% macro lag_density_width() -%}
    least({{ days(7) }}, {{ hours(policy('viral_horizon_days') ~ ' * 12') }})
{%- endmacro %}

{# The edges of a graph that lie on a cycle, as rows of edge. edges: a relation with a row per edge; edge: its column that
   numbers them from 1 up; tail, head: the columns that say from where to where, in whole numbers from 1 up. #}
{% macro edges_in_cycles(edges, edge, tail, head) -%}
    {{ return(adapter.dispatch('edges_in_cycles', 'marketing_automation')(edges, edge, tail, head)) }}
{%- endmacro %}

{% macro postgres__edges_in_cycles(edges, edge, tail, head) -%}
    ops.edges_in_cycles(
            (select coalesce(array_agg({{ tail }} order by {{ edge }}), '{}') from {{ edges }}),
            (select coalesce(array_agg({{ head }} order by {{ edge }}), '{}') from {{ edges }})
        )
{%- endmacro %}
