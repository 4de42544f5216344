"""One PostgreSQL address in the forms that its readers want: libpq's URL, SQLAlchemy's, and one fit to print."""

from urllib.parse import quote, urlencode

from psycopg.conninfo import conninfo_to_dict


def libpq_url(address: str, *, database: str | None = None, show_password: bool = True) -> str:
    """The address (URL or key=value form) as a postgresql:// URL, perhaps for another database of that server."""
    name = quote(database or database_name(address), safe="")
    return _url("postgresql", address, name, show_password)


def sqlalchemy_url(address: str, *, driver: str, database: str | None = None) -> str:
    """The address for SQLAlchemy: postgresql+<driver>://…"""
    # SQLAlchemy takes the database's name as it stands, unlike all the rest.
    return _url(f"postgresql+{driver}", address, database or database_name(address), show_password=True)


def database_name(address: str) -> str:
    """The database that the address names, or the one of its user's name, as libpq has it."""
    parameters = conninfo_to_dict(address)
    return str(parameters.get("dbname") or parameters.get("user") or "")


def _url(scheme: str, address: str, path: str, show_password: bool) -> str:
    parameters = {name: str(value) for name, value in conninfo_to_dict(address).items()}
    user = quote(parameters.pop("user", ""), safe="")
    password = parameters.pop("password", None)
    if password is not None and show_password:
        user += f":{quote(password, safe='')}"
    parameters.pop("dbname", None)
    server = ""
    # A socket's directory and lists of hosts have no place before the slash that both readers understand.
    if not parameters.get("host", "/").startswith("/") and "," not in parameters["host"]:
        server = parameters.pop("host")
        server = f"[{server}]" if ":" in server else server
        server += f":{parameters.pop('port', '5432')}"
    query = f"?{urlencode(parameters, quote_via=quote)}" if parameters else ""
    return f"{scheme}://{user}{'@' if user else ''}{server}/{path}{query}"
