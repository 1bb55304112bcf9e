"""Names: what the name of a column says of it."""

from __future__ import annotations

import re

NAMES_ROWS = re.compile(
    r"(^|[_\W])(id|key|uuid|guid)$", re.IGNORECASE
)  # and is no count of rows, begun anew in each file
TIMELY = re.compile(
    r"(^|[_\W\d])(time|timestamp|ts|date|datetime|day|week|month|year|yr|quarter|period|epoch|when|"
    r"datum|tag|zeit|woche|monat|jahr|fecha|ano|annee|jour|mois|semaine)($|[_\W\d])|"
    r"(time|date|week|month|year|stamp)$|^(week|year|month|day)|(^|[_\W])(at|on|dt)$"
)
DONE = re.compile(r"ed$")  # such as ordered
YEARLY = re.compile(r"(^|[_\W])(year|yr|jahr|annee|ano)($|[_\W])|year$")
MOMENTS = 5  # different ones that a column must hold to say when


def plain_name(name: str) -> str:
    """Return `customerID` as `customer_id`, as the patterns here expect names."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip()).lower()
