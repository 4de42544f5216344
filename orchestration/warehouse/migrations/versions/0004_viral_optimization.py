"""Viral optimisation: invites and rewards.

Revision ID: 0004
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

FEEDS = """
create table raw.viral_actions (
    event_id text primary key,
    action_type text not null,
    actor_id text not null,
    recipient_key text not null,
    recipient_mailbox_key text not null,
    key_version smallint not null,
    invite_id text,
    reward_cents bigint,
    occurred_at timestamptz not null,
    properties jsonb,
    load_id bigint not null
);
create index viral_actions_by_load on raw.viral_actions (load_id);
"""


def upgrade() -> None:
    op.execute(FEEDS)
