"""Adopt: everything is worked out in memory, and the batches hold every row as it came."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import settings_of
from yaml import safe_dump

from evergreen.adopt.adopt import Adoption, adopt
from evergreen.adopt.wishes import Wishes
from evergreen.errors import InputError
from evergreen.params import Params, Source, load

Adopter = Callable[..., Adoption]


@pytest.fixture
def adopted(tmp_path: Path) -> Adopter:
    """Adopt a file for a project that has nothing but parameters."""
    (tmp_path / "params.yaml").write_text(
        safe_dump(Params().model_dump(mode="json", by_alias=True))
    )
    project = settings_of(tmp_path, "customers")

    def through(name: str, content: bytes, **wishes: Any) -> Adoption:
        (tmp_path / name).write_bytes(content)
        return adopt(project, load(project.params), str(tmp_path / name), Wishes("churn", **wishes))

    return through


def text(columns: dict[str, Any], separator: str = ",") -> str:
    return pl.DataFrame(columns).write_csv(separator=separator)


@pytest.mark.slow
def test_nothing_is_written(adopted: Adopter, customers: Any, tmp_path: Path) -> None:
    found = adopted("a.csv", text(customers()).encode())
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.csv",
        "params.yaml",
        "pyproject.toml",
    ]
    assert list(found.texts) == [
        "src/customers/dataset.py",
        "src/customers/expectations.py",
        "params.yaml",
        "reports/adopt.md",
    ]
    assert found.texts["reports/adopt.md"].startswith(found.report)
    assert "## Every column" in found.texts["reports/adopt.md"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "encoding"), [("a.csv", "utf-8-sig"), ("a.csv", "cp1252"), ("a.txt", "utf-8")]
)
def test_one_batch_is_the_file_to_the_byte(
    name: str, encoding: str, adopted: Adopter, customers: Any
) -> None:
    content = text(customers() | {"größe": ["ä", "ö", "ü"] * 100}, ";").encode(encoding)
    assert adopted(name, content).batches == {"inbox/a.csv": content}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "separator", "encoding"), [("a.csv", ";", "cp1252"), ("a.tsv", "\t", "utf-8")]
)
def test_batches_are_written_in_the_dialect_they_came_in(
    name: str, separator: str, encoding: str, adopted: Adopter, customers: Any
) -> None:
    odd = {
        "größe": [f'a "{at}"{separator} ä\n' if at % 3 else None for at in range(1200)],
        "spend": ["1.234,50"] * 1200,
    }
    columns = customers(1200, 360) | odd
    found = adopted(name, text(columns, separator).encode(encoding))
    suffix = Path(name).suffix
    assert list(found.batches)[::11] == [f"inbox/2023-01{suffix}", f"inbox/2023-12{suffix}"]
    parts = [
        pl.read_csv(
            io.BytesIO(batch.decode(encoding).encode()), separator=separator, infer_schema=False
        )
        for batch in found.batches.values()
    ]
    assert (
        pl.concat(parts)
        .sort("customer_id")
        .equals(pl.DataFrame(columns, schema_overrides={"spend": pl.String}))
    )


@pytest.mark.slow
def test_parquet_stays_parquet(adopted: Adopter, customers: Any) -> None:
    frame = pl.DataFrame(customers(1200, 360)).with_columns(
        pl.col("day").str.to_date(), pl.col("visits").cast(pl.Int8)
    )
    written = io.BytesIO()
    frame.write_parquet(written)
    found = adopted("a.parquet", written.getvalue())
    parts = [pl.read_parquet(io.BytesIO(batch)) for batch in found.batches.values()]
    assert len(parts) == 12
    assert pl.concat(parts).equals(frame)


@pytest.mark.slow
def test_what_is_allowed_to_be_broken_is_the_projects_or_the_wished(
    adopted: Adopter, customers: Any
) -> None:
    spoilt = {"spend": [("?!" if at % 10 == 3 else f"{at}.5") for at in range(300)]}
    content = text(customers() | spoilt).encode()
    with pytest.raises(InputError, match=r"more than validate.max_bad_rows \(2.0%\)"):
        adopted("a.csv", content)
    assert (
        "max_bad_rows: 0.12\n" in adopted("a.csv", content, max_bad_rows=0.12).texts["params.yaml"]
    )


@pytest.mark.slow
def test_the_source_is_a_folder_of_the_project(
    adopted: Adopter, customers: Any, tmp_path: Path
) -> None:
    found = adopted("a.csv", text(customers()).encode())
    (tmp_path / "params.yaml").write_text(found.texts["params.yaml"])
    assert load(tmp_path / "params.yaml").source == Source(kind="files", path="inbox")
