{# The 97.5 % quantile of Student's t with so many degrees of freedom, which need not be whole: Cornish and Fisher's
   expansion around the normal one (Abramowitz and Stegun 26.7.5), right to 0.01 from 3 on. Fewer than 3 count as 3:
   what few campaigns say of their spread is a guess anyway. #}
{% macro student_95(freedom) -%}
    {%- set z = normal_quantile(95) | float -%}
    {%- set terms = [
        z,
        (z ** 3 + z) / 4,
        (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96,
        (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384,
    ] -%}
    (
            {{ '%.12f' % terms[0] }}
            + {{ '%.12f' % terms[1] }} / greatest({{ freedom }}, 3)
            + {{ '%.12f' % terms[2] }} / greatest({{ freedom }}, 3) ^ 2
            + {{ '%.12f' % terms[3] }} / greatest({{ freedom }}, 3) ^ 3
        )
{%- endmacro %}
