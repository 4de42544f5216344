"""Who else uses the server just now."""

from .warehouse import Warehouse


def cancel_statements(warehouse: Warehouse, application_name: str) -> None:
    """Cancel what the sessions of this name are doing in the warehouse just now."""
    with warehouse.connect(autocommit=True) as connection:
        connection.execute(
            """
            select pg_cancel_backend(pid)
            from pg_stat_activity
            where datname = current_database() and application_name = %s and state = 'active'
            """,
            [application_name],
        )


def others(warehouse: Warehouse) -> list[str]:
    """Names (application_name) of the other sessions on the warehouse's server, in any of its databases."""
    with warehouse.connect(autocommit=True) as connection:
        rows = connection.execute(
            """
            select coalesce(nullif(application_name, ''), 'a session without a name')
            from pg_stat_activity
            where backend_type = 'client backend' and pid <> pg_backend_pid()
            order by backend_start
            """
        )
        return [name for (name,) in rows.fetchall()]
