"""The section `source` of `params.yaml`: where batches come from, and how they are read."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from evergreen.params.section import Section
from evergreen.redact import holds_secret

# Formats of dates in source.dates that strptime lacks
EPOCHS = ("epoch_s", "epoch_ms", "epoch_us", "epoch_ns")


class Source(Section):
    """Where batches come from."""

    kind: Literal["files", "sql", "python"] = Field("files", description="python, files or sql")
    module: str | None = Field(
        None, description="python: a module with batches(), read(name) and origin()"
    )
    until: str | None = Field(
        None, description="the newest batch that a run takes; null: all there are"
    )
    path: str | None = Field(
        "inbox",
        description="files: a local path or any fsspec URL, such as s3://bucket/folder/*.csv; CSV, "
        "TSV or Parquet; one file is one batch",
    )
    encoding: str = Field("utf-8", description="files: how text is encoded")
    separator: Annotated[str, Field(min_length=1, max_length=1)] = Field(
        ",", description="files: the character between columns"
    )
    decimal: Literal[".", ","] = Field(".", description="files: the character before decimals")
    thousands: Literal[",", ".", " ", "'"] | None = Field(
        None, description="files: the character between thousands, one of , . ' or a space"
    )
    dates: tuple[str, ...] = Field(
        (),
        description="formats besides ISO 8601, the first that fits counts, such as ['%d.%m.%Y'] or "
        "[epoch_ms]",
    )
    nulls: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (),
        description='texts that say "no value" in any column, besides those everybody uses, such '
        "as ['\\N', '.']",
    )
    url: str | None = Field(
        None,
        description="sql: the database, as SQLAlchemy writes it; the password stays in the "
        "environment: ${DATABASE_URL}",
    )
    query: str | None = Field(
        None, description="sql: the query that returns the rows, such as SELECT * FROM sales"
    )
    period: Literal["day", "week", "month", "year"] = Field(
        "month", description="sql: one finished day, week, month or year is one batch"
    )
    lag_hours: Annotated[float, Field(ge=0)] = Field(
        24.0,
        description="sql: a period without a later row is finished so long after its end in UTC",
    )

    @field_validator("until", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        if isinstance(value, int) and 1000 <= value <= 9999:  # a year
            return str(value)
        if isinstance(value, (int, float)):  # YAML has read it as a number: 1.10 is 1.1 by now
            raise ValueError(f"put the batch's name in quotes: until: '{value}'")
        return str(value) if isinstance(value, date) else value

    @field_validator("nulls", mode="before")
    @classmethod
    def _as_texts(cls, value: object) -> object:
        """Take -999 for "-999"; what YAML reads as no text at all stands in quotes."""
        if not isinstance(value, (list, tuple)):
            raise ValueError("write a list of texts, such as ['\\N', '.']")
        if odd := [text for text in value if text is None or isinstance(text, (bool, list, dict))]:
            raise ValueError(f"put each text in quotes: {odd[0]!r} is not a text")
        return [str(text).strip() for text in value]

    @model_validator(mode="after")
    def _complete(self) -> Source:
        for key, value in (("path", self.path), ("url", self.url), ("query", self.query)):
            if value and holds_secret(value):
                raise ValueError(
                    f"{key!r} holds a password or a token: put it into the environment, "
                    "and write ${NAME} here"
                )
        if self.kind == "files" and not self.path:
            raise ValueError(
                "kind 'files' needs 'path': a folder, a pattern such as inbox/*.csv, or a URL"
            )
        if self.kind == "python" and not self.module:
            raise ValueError(
                "kind 'python' needs 'module': one with batches(), read(name) and origin()"
            )
        if self.decimal == self.thousands:
            raise ValueError(
                f"'decimal' and 'thousands' are both {self.decimal!r}: they must differ"
            )
        if odd := [form for form in self.dates if "%" not in form and form not in EPOCHS]:
            raise ValueError(
                f"'dates' holds {odd[0]!r}: write formats as strptime does, such as %d.%m.%Y, "
                f"or {', '.join(EPOCHS)} for numbers since 1970"
            )
        if self.kind == "sql" and not (self.url and self.query):
            raise ValueError("kind 'sql' needs 'url' and 'query'")
        return self
