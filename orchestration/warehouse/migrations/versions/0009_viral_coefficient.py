"""The viral coefficient: whether an address was disposable, as judged when its record came.

Revision ID: 0009
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# What came before was never judged and cannot be: of its domains nothing was kept. A shadow that takes a row over
# must bring every column that may not be null.
DISPOSABLE = """
alter table raw.users add column email_is_disposable boolean not null default false;
comment on column raw.users.email_is_disposable is
    'Whether the address lay in a domain of throw-away mailboxes, by the list of the day on which the record came. '
    'No part of what tells versions apart.';
update raw.shadowed set record = record || '{"email_is_disposable": false}' where feed = 'users';

alter table raw.viral_actions add column recipient_is_disposable boolean not null default false;
comment on column raw.viral_actions.recipient_is_disposable is
    'Whether the recipient''s address lay in a domain of throw-away mailboxes, by the list of the day on which the '
    'record came. No part of what makes an event conflict with its first.';
update raw.shadowed set record = record || '{"recipient_is_disposable": false}' where feed = 'viral_actions';
"""


def upgrade() -> None:
    for statement in (DISPOSABLE,):
        op.execute(statement)
