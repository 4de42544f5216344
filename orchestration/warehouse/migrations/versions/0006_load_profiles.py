"""What was measured of each load's rows when it was judged, so that later loads can be compared with it.

Revision ID: 0006
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

PROFILES = """
alter table raw.loads add column profile jsonb;
comment on column raw.loads.profile is
    'Figures of its rows from when it was judged: records by channel or type, typical amounts. Later loads are '
    'compared with those of published ones, also after their rows have gone.';
create index loads_published_by_feed on raw.loads (feed, load_id desc) where published_build_id is not null;
"""


def upgrade() -> None:
    op.execute(PROFILES)
