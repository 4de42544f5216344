"""Billing: what came in, what went back, what it cost, and at which rates.

Revision ID: 0003
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

FEEDS = """
create table raw.conversions (
    conversion_id text primary key,
    user_id text not null,
    occurred_at timestamptz not null,
    conversion_type text not null,
    revenue_cents bigint not null,
    currency text not null,
    properties jsonb,
    load_id bigint not null
);
create index conversions_by_load on raw.conversions (load_id);
create index conversions_by_day on raw.conversions (currency, occurred_at);

create table raw.refunds (
    refund_id text primary key,
    conversion_id text not null,
    occurred_at timestamptz not null,
    refund_cents bigint not null,
    properties jsonb,
    load_id bigint not null
);
create index refunds_by_load on raw.refunds (load_id);
create index refunds_by_conversion on raw.refunds (conversion_id);

create table raw.ad_spend (
    spend_on date not null,
    channel text not null,
    campaign_id text,
    cost_cents bigint not null,
    impressions bigint,
    clicks bigint,
    currency text not null,
    updated_at timestamptz,
    properties jsonb,
    record_sha256 bytea not null,
    load_id bigint not null,
    unique nulls not distinct (spend_on, channel, campaign_id, record_sha256)
);
create index ad_spend_by_load on raw.ad_spend (load_id);

create table raw.exchange_rates (
    rate_on date not null,
    currency text not null,
    rate numeric not null,
    updated_at timestamptz,
    properties jsonb,
    record_sha256 bytea not null,
    load_id bigint not null,
    primary key (rate_on, currency, record_sha256)
);
create index exchange_rates_by_load on raw.exchange_rates (load_id);
"""


def upgrade() -> None:
    op.execute(FEEDS)
