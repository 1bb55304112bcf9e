"""`evergreen adopt`: an odd file, one command, then a model, or a sentence that says why not."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from evergreen.project import Project

pytestmark = pytest.mark.slow
Run = Callable[..., subprocess.CompletedProcess[str]]


def dataset(name: str) -> pl.DataFrame:
    """A data set of scikit-learn, as a table with its label in `target`."""
    from sklearn import datasets

    found = getattr(datasets, f"load_{name}")()
    columns = {str(feature): found.data[:, at] for at, feature in enumerate(found.feature_names)}
    return pl.DataFrame({**columns, "target": found.target})


def written(column: pl.Series, decimal: str, thousands: str = "") -> pl.Series:
    """Numbers as text in a dialect."""
    texts = [
        f"{value:,.3f}".translate(str.maketrans(",.", f"\0{decimal}")).replace("\0", thousands)
        for value in column
    ]
    return pl.Series(column.name, texts)


def days(rows: int, span: int, *formats: str) -> pl.Series:
    start = datetime.fromisoformat("2023-01-01")
    dates = (start + timedelta(days=at * span // rows) for at in range(rows))
    return pl.Series("day", [f"{day:{formats[at % len(formats)]}}" for at, day in enumerate(dates)])


# --- the odd files
# --------------------------------------------------------------------------------------------------


def cancer() -> bytes:
    """A BOM, names that code and models cannot bear, an ID, an empty column, e-mails, a leak."""
    frame = dataset("breast_cancer")
    odd = (
        'x"); raise SystemExit("',
        "x\\",
        "x'\n",
        "x [1]",
        "x (1)",
        "x<1>",
        "label",
        "key_x",
        "event_time",
        "größe, 大きさ",
    )
    frame = frame.rename(dict(zip(frame.columns, odd, strict=False)))
    people = pl.Series("contact", [f"patient{at}@clinic.org" for at in range(frame.height)])
    word = pl.when(pl.col("target") == 1).then(pl.lit("benign")).otherwise(pl.lit("malignant"))
    frame = frame.with_columns(
        people,
        target=word,
        treated=1 - pl.col("target"),
        patient_id=pl.int_range(pl.len()) * 7 + 10**6,
        ward=pl.lit(None, pl.String),
    )
    return frame.write_csv(include_bom=True).encode()


def wine() -> bytes:
    """Semicolons, decimal commas, umlauts in names, Windows' encoding, integers beyond 64 bits."""
    frame = dataset("wine").rename({"alcohol": "Säuregehalt [g/l]", "hue": "Größe"})
    numbers = [written(frame[name], ",") for name in frame.columns[:-1]]
    account = pl.Series("barcode", [str(10**24 + at * 13) for at in range(frame.height)])
    return frame.with_columns(*numbers, account).write_csv(separator=";").encode("cp1252")


def diabetes() -> bytes:
    """Thousands separators, a label of fractions, one row in ten broken."""
    frame = dataset("diabetes").with_columns(
        cost=pl.col("bmi") * 50_000 + 12_345.678, target=pl.col("target") / 7
    )
    cost = written(frame["cost"], ",", ".").to_list()
    for at in range(3, len(cost), 10):
        cost[at] = "unknown"
    target = written(frame["target"], ",", ".")
    numbers = [
        written(frame[name], ",", ".") for name in frame.columns if name not in ("cost", "target")
    ]
    return (
        frame.with_columns(*numbers, target, pl.Series("cost", cost))
        .write_csv(separator=";")
        .encode()
    )


def digits() -> bytes:
    """Dates in three formats, constants, tabs; every second row, since ten classes take time."""
    frame = dataset("digits").gather_every(2)
    return (
        frame.with_columns(days(frame.height, 170, "%Y-%m-%d", "%d.%m.%Y", "%d %b %Y"))
        .write_csv(separator="\t")
        .encode()
    )


def wide() -> bytes:
    """Two hundred columns."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(400, 200)).round(3)
    y = x[:, :3].sum(axis=1) + 0.3 * draw.normal(size=400) > 0
    return (
        pl.DataFrame({**{f"x{at}": x[:, at] for at in range(200)}, "target": y})
        .write_csv()
        .encode()
    )


# what it is -> file, options, the task, what the report says, words that are no feature
ADOPTED: dict[
    str, tuple[Callable[[], bytes], tuple[str, ...], str, tuple[str, ...], tuple[str, ...]]
] = {
    "cancer.csv": (
        cancer,
        (),
        "binary",
        (
            "'target' is yes where it is 'malignant'",
            "key: 'patient_id'",
            "'contact' holds e-mail addresses",
            "'ward' holds no value",
            "'treated' predicts the label nearly by itself",
        ),
        ("contact", "patient_id", "ward", "treated", "label", "key_x", "event_time", "x [1]"),
    ),
    "diabetes.csv": (
        diabetes,
        ("--max-bad-rows", "0.12"),
        "regression",
        (
            "'.' between thousands",
            "'cost' holds 44 values that are no numbers",
            "44 rows (10.0%) cannot be read",
        ),
        (),
    ),
    "digits.tsv": (
        digits,
        (),
        "multiclass",
        (
            "batches: 6, one for each month",
            "DD.MM.YYYY and DD Mon YYYY",
            "'pixel_0_0' is 0.0 in every row",
        ),
        ("pixel_0_0",),
    ),
}


def assert_fine(done: subprocess.CompletedProcess[str], *said: str) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    for part in said:
        assert part in done.stdout, done.stdout


def test_an_odd_file_is_adopted(fresh: Project, cli: Run) -> None:
    assert_adopted("cancer.csv", fresh, cli)


@pytest.mark.long
@pytest.mark.parametrize("name", ADOPTED)
def test_an_odd_file_becomes_a_model(name: str, fresh: Project, cli: Run) -> None:
    assert_adopted(name, fresh, cli)
    done = cli(fresh, "run")
    assert_fine(done, "evergreen version 1 is champion", "cross-validation of")
    assert not list(fresh.root.rglob(".part-*"))


def assert_adopted(name: str, fresh: Project, cli: Run) -> None:
    make, options, task, told, no_features = ADOPTED[name]
    (fresh.root.parent / name).write_bytes(make())
    done = cli(fresh, "adopt", f"../{name}", "--target", "target", *options)
    assert_fine(done, *told, "next: read them")
    assert (
        "".join(done.stdout.partition("\n## ")[:1]).strip()
        in (fresh.reports / "adopt.md").read_text()
    )
    declared = fresh.root / "src" / "late_flights" / "dataset.py"
    names: dict[str, Any] = {}
    exec(declared.read_text(), names)
    assert not set(no_features) & set(names["dataset"].features)
    assert yaml.safe_load(fresh.params.read_text())["task"] == task


@pytest.mark.long
def test_later_files_of_the_same_system_are_read_the_same_way(fresh: Project, cli: Run) -> None:
    header, *lines = wine().decode("cp1252").splitlines()
    first, later = lines[::2], lines[1::2]
    (fresh.root.parent / "wine.csv").write_bytes("\n".join([header, *first, ""]).encode("cp1252"))
    told = (
        "file: cp1252, fields separated by ';'",
        "numbers are written with ',' before decimals",
        "'barcode' holds whole numbers beyond 64 bits",
    )
    assert_fine(cli(fresh, "adopt", "../wine.csv", "--target", "target"), *told)
    later[0] = later[0].replace(",", ".")  # not the decimal sign of this system
    (fresh.root / "inbox" / "wine-2.csv").write_bytes(
        "\n".join([header, *later, ""]).encode("cp1252")
    )
    assert_fine(cli(fresh, "ingest"), "1 new: wine-2")
    done = cli(fresh, "validate")
    assert_fine(done)
    row = next(line.split() for line in done.stdout.splitlines() if line.startswith("wine-2"))
    assert row[1:3] == ["89", "1"]
    kept = pl.read_parquet(fresh.validated / "wine-2.parquet")
    assert kept["Säuregehalt [g/l]"].is_between(10, 16).all()
    done = cli(fresh, "adopt", "../wine.csv", "--target", "target")
    assert done.returncode == 1
    assert "`rm -rf data stores reports dvc.lock inbox` forgets all of it" in done.stderr


@pytest.mark.long
def test_two_hundred_columns_are_taken(fresh: Project, cli: Run) -> None:
    (fresh.root.parent / "wide.csv").write_bytes(wide())
    done = cli(fresh, "adopt", "../wide.csv", "--target", "target")
    assert_fine(done, "200 features", "is yes where it is True", "wide   400   0")


REFUSED: dict[str, tuple[bytes | None, tuple[str, ...], str]] = {
    "gone.csv": (None, (), "there is no such file"),
    "twice.csv": (b"a,a,target\n" + b"1,2,3\n" * 50, (), "the header names 'a' twice"),
    "broken.csv": (diabetes(), (), "--max-bad-rows 0.11"),
    "slip.csv": (cancer(), ("--target", "tagret"), "did you mean 'target'?"),
    "key.csv": (cancer(), ("--key", "ward"), "--key ward: 569 rows share it with another"),
    "book.xlsx": (b"PK\x03\x04", (), "export the table as CSV"),
}


def test_what_cannot_be_adopted_is_one_sentence_and_changes_nothing(
    fresh: Project, cli: Run
) -> None:
    for name, (content, options, says) in REFUSED.items():
        if content is not None:
            (fresh.root.parent / name).write_bytes(content)
        done = cli(fresh, "adopt", f"../{name}", "--target", "target", *options)
        assert done.returncode == 1, done.stdout + done.stderr
        assert done.stderr.count("error: ") == 1
        assert says in done.stderr
        assert "Traceback" not in done.stderr
    status = ["git", "-C", str(fresh.root), "status", "--porcelain", "--ignored"]
    changed = subprocess.run(status, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [
        path
        for path in changed
        if "__pycache__" not in path and "stores/" not in path and ".dvc/" not in path
    ] == []
