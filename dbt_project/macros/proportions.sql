{# How sure a share is of which so many trials were a success: Wilson's interval of one, Newcombe's of a difference of
   two (method 10 of Newcombe 1998, Statistics in Medicine 17, 873-890). Both hold what they promise for few trials, and
   for none or only successes, where the usual interval has no width. All figures have 40 digits: whoever shows one
   rounds it once. #}

{# The normal distribution has so many percent of itself within this many standard deviations on either side of its
   mean: the chance that an interval of that width holds the truth. #}
{% macro normal_quantile(pct) -%}
    {{- {95: '1.959963984540054', 99: '2.575829303548901'}[pct] -}}
{%- endmacro %}

{# Least share of which it would be no surprise to see that many successes. successes, trials: whole numbers; pct: 95 or
   99; null without trials. Exactly 0 without successes. #}
{% macro wilson_low(successes, trials, pct) -%}
    {{ wilson_bound('-', successes, trials, normal_quantile(pct)) }}
{%- endmacro %}

{# Greatest such share; exactly 1 without failures. #}
{% macro wilson_high(successes, trials, pct) -%}
    {{ wilson_bound('+', successes, trials, normal_quantile(pct)) }}
{%- endmacro %}

{# z times z, as PostgreSQL multiplies exactly and raises to powers roughly. #}
{% macro wilson_bound(sign, successes, trials, z) -%}
    (
            2 * ({{ successes }})::numeric(80, 40) + {{ z }} * {{ z }}
            {{ sign }} {{ z }} * sqrt(
                {{ z }} * {{ z }}
                + 4 * ({{ successes }})::numeric(80, 40) * (({{ trials }}) - ({{ successes }})) / nullif({{ trials }}, 0)
            )
        ) / (2 * (({{ trials }}) + {{ z }} * {{ z }}))
{%- endmacro %}

{# Columns <prefix>_share, <prefix>_low and <prefix>_high, as newcombe_low and newcombe_high want them. #}
{% macro share_with_interval(prefix, successes, trials, pct) -%}
    ({{ successes }})::numeric(80, 40) / nullif({{ trials }}, 0) as {{ prefix }}_share,
        {{ wilson_low(successes, trials, pct) }} as {{ prefix }}_low,
        {{ wilson_high(successes, trials, pct) }} as {{ prefix }}_high
{%- endmacro %}

{# Least difference, one share less another, that would be no surprise. one, other: prefixes of share_with_interval. #}
{% macro newcombe_low(one, other) -%}
    {{ one }}_share - {{ other }}_share - sqrt(
            ({{ one }}_share - {{ one }}_low) * ({{ one }}_share - {{ one }}_low)
            + ({{ other }}_high - {{ other }}_share) * ({{ other }}_high - {{ other }}_share)
        )
{%- endmacro %}

{# Greatest such difference. #}
{% macro newcombe_high(one, other) -%}
    {{ one }}_share - {{ other }}_share + sqrt(
            ({{ one }}_high - {{ one }}_share) * ({{ one }}_high - {{ one }}_share)
            + ({{ other }}_share - {{ other }}_low) * ({{ other }}_share - {{ other }}_low)
        )
{%- endmacro %}

{# How far the difference of two shares may lie from the true one at any time of looking, 19 times in 20: the mixture
   sequential test of Johari, Koomen, Pekelis and Walsh (2022, Operations Research 70, 1806-1821), where lifts spread
   normally around 0, typically by so much. An interval for one look does not hold for many: whoever looks each day until
   it lies beside 0 finds that in the end. variance: of the difference. #}
{% macro always_valid_reach(variance, typical) -%}
    sqrt(
            {{ variance }} * ({{ variance }} + {{ typical }} * {{ typical }}) / ({{ typical }} * {{ typical }})
            * (2 * ln(20::numeric(80, 40)) + ln(({{ variance }} + {{ typical }} * {{ typical }}) / {{ variance }}))
        )
{%- endmacro %}

{# Variance of a share, with one success and one failure more than there were, as none or only successes would have
   none (Agresti and Caffo 2000, The American Statistician 54, 280-288). #}
{% macro share_variance(successes, trials) -%}
    (({{ successes }}) + 1)::numeric(80, 40) * (({{ trials }}) - ({{ successes }}) + 1)
            / ((({{ trials }}) + 2)::numeric * (({{ trials }}) + 2) * (({{ trials }}) + 2))
{%- endmacro %}

{# One share less another, to 12 decimals, by one division. #}
{% macro share_difference(successes, trials, other_successes, other_trials) -%}
    {{ ratio(
        '(' ~ successes ~ ')::numeric * ' ~ other_trials ~ ' - (' ~ other_successes ~ ')::numeric * ' ~ trials,
        '(' ~ trials ~ ')::numeric * ' ~ other_trials,
    ) }}
{%- endmacro %}
