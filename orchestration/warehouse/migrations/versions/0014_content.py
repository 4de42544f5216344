"""Content: which variant of a campaign's content an event names, found without reading the others.

Revision ID: 0014
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

CONTENT = """
create index campaign_events_of_variants on raw.campaign_events (load_id)
where nullif((properties ->> 'variant_id'), '') is not null;
comment on index raw.campaign_events_of_variants is
    'Most events name no variant. The condition is the one of column variant_id in staging, word for word: the planner '
    'uses the index for no other. By load, as builds ask for what is new, and as the rows lie.';
"""


def upgrade() -> None:
    op.execute(CONTENT)
