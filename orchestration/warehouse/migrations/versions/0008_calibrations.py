"""Calibrations: which parameters data-driven credit is given by, what they were judged to be worth, and which are in
force; and the tables that the fits of a build fill for its models.

Revision ID: 0008
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

CALIBRATIONS = """
create table ops.attribution_calibrations (
    calibration_id integer primary key,
    method text not null check (method in ('policy', 'markov', 'shapley', 'time_decay', 'position_based')),
    parameters jsonb not null,
    weights jsonb not null default '{}',
    weight_replicates jsonb not null default '[]',
    scores jsonb not null default '{}',
    fit_from_on date,
    fit_to_on date,
    judged_from_on date,
    judged_to_on date,
    build_id bigint,
    evidence_load_id bigint not null default 0,
    evidence_sha256 text,
    recommended boolean not null default false,
    requested_by text not null,
    reason text not null,
    created_at timestamptz not null default clock_timestamp()
);
comment on table ops.attribution_calibrations is
    'Every fit of data-driven attribution, promoted or not, with what is needed to repeat it. parameters: of its '
    'method, and the seed, the versions and the policy it was fitted under; weights: by channel, in millionths that '
    'add up to a million; weight_replicates: the same from resampled persons; scores: what it and its rivals were '
    'judged to be worth; evidence_load_id: the newest load that it knew. 0 is the policy''s own position weights.';
insert into ops.attribution_calibrations (calibration_id, method, parameters, requested_by, reason)
values (0, 'policy', '{}', 'the policy', 'attribution_first_weight and attribution_last_weight');

create table ops.attribution_promotions (
    promotion_id bigint generated always as identity primary key,
    calibration_id integer not null references ops.attribution_calibrations (calibration_id),
    kind text not null check (kind in ('promote', 'revert')),
    requested_by text not null,
    reason text not null,
    promoted_at timestamptz not null default clock_timestamp()
);
comment on table ops.attribution_promotions is
    'Which calibration came into force when, by whom and why; the newest row says which is in force.';

create function ops.calibration_in_force() returns integer
language sql stable as $$
    select coalesce(
        (select calibration_id from ops.attribution_promotions order by promotion_id desc limit 1), 0
    )
$$;
"""

BUILDS = """
alter table ops.builds add column calibration_id integer not null default ops.calibration_in_force()
    references ops.attribution_calibrations (calibration_id);
comment on column ops.builds.calibration_id is 'The calibration that was in force when the build was opened.';

create or replace view ops.current_build as
select
    builds.build_id,
    builds.as_of,
    builds.base_build_id,
    builds.base_as_of,
    builds.is_full,
    builds.frozen_before,
    builds.calibration_id,
    not builds.is_full and builds.calibration_id is distinct from base.calibration_id as recredits
from ops.builds
left join ops.builds as base
    on builds.base_build_id = base.build_id
order by builds.build_id desc
limit 1;
comment on view ops.current_build is
    'The build that models compute for: as_of is their present, base_build_id where an incremental one starts; '
    'recredits: another calibration is in force than in its base, so every conversion is credited anew.';
"""

# Plain tables, which no dbt model makes: what Python fits from a build's statistics, for the models after it.
FITS = """
create table intermediate.fit_channel_effects (
    method text not null,
    markov_order integer,
    channel text not null,
    removal_effect double precision,
    shapley_value double precision,
    standard_error double precision not null,
    conversions numeric(30, 12) not null,
    revenue_cents bigint not null,
    touch_conversions numeric(30, 12) not null,
    build_id bigint not null,
    unique nulls not distinct (method, markov_order, channel)
);
comment on table intermediate.fit_channel_effects is
    'What channels are worth by each method, fitted from the statistics of the build of build_id.';

create table intermediate.fit_credit_intervals (
    attribution_model text not null,
    channel text not null,
    conversions numeric(30, 12) not null,
    conversions_low numeric(30, 12) not null,
    conversions_high numeric(30, 12) not null,
    channel_rank integer not null,
    rank_stability numeric(13, 12) not null,
    build_id bigint not null,
    primary key (attribution_model, channel)
);
comment on table intermediate.fit_credit_intervals is
    'Credited conversions of each channel with their interval over persons, for the build of build_id.';

create table intermediate.fit_accuracy (
    truth_method text not null,
    attribution_model text not null,
    calibration_id integer not null,
    period_start_on date not null,
    period_end_on date not null,
    is_latest boolean not null,
    conversions integer not null,
    conversions_of_none integer not null,
    conversions_without_touch integer not null,
    accuracy numeric(13, 12),
    accuracy_corrected numeric(13, 12),
    accuracy_low numeric(13, 12),
    accuracy_high numeric(13, 12),
    accuracy_ceiling numeric(13, 12),
    drift_line numeric(13, 12),
    hit_rate numeric(13, 12),
    status text not null,
    build_id bigint not null,
    primary key (truth_method, attribution_model, calibration_id, period_end_on)
);
comment on table intermediate.fit_accuracy is
    'How near each model''s credit comes to known truth, by period, for the build of build_id.';
"""

# What was published before is by calibration 0: days that are frozen keep it.
PUBLISHED = """
do $$
begin
    if to_regclass('marts.fct_attribution') is not null then
        alter table marts.fct_attribution
            add column data_driven_credit numeric(18, 12),
            add column data_driven_revenue_cents bigint;
        update marts.fct_attribution
        set data_driven_credit = position_based_credit, data_driven_revenue_cents = position_based_revenue_cents;
    end if;
end
$$;
"""


def upgrade() -> None:
    for statement in (CALIBRATIONS, BUILDS, FITS, PUBLISHED):
        op.execute(statement)
