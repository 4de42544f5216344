"""The headline of this moment of hours in which millions join.

Revision ID: 0011
"""

from alembic import op

from orchestration.warehouse.migrations.functions import VIRAL_COEFFICIENT_NOW

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(VIRAL_COEFFICIENT_NOW)
