"""Compare: what was made again beside what is recorded, byte by byte and number by number."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from evergreen.evaluation.held_out import HeldOut
from evergreen.finding import count
from evergreen.ingest.listing import few
from evergreen.promotion.refit import distance
from evergreen.scoring.package import CHECKSUMS, Model
from evergreen.stores.dvc_bytes import Brought

THINGS = ("data", "model", "predictions", "metrics")


@dataclass(frozen=True)
class Verdict:
    """Whether something is equal; None where it was not made again. `says`: in what it differs."""

    what: str
    equal: bool | None
    says: str

    @property
    def word(self) -> str:
        """The verdict in a word."""
        return {True: "equal", False: "different", None: "not made"}[self.equal]


def compare_data(data: Brought) -> Verdict:
    """Return whether every file was brought back with the bytes that were recorded."""
    if not data.altered and not data.missing:
        says = f"{count(data.files, 'file')}, each with its recorded hash"
        return Verdict(
            "data", *((True, says) if data.files else (None, "nothing was brought back"))
        )
    odd = (("not as recorded", data.altered), ("missing", data.missing))
    return Verdict(
        "data", False, "; ".join(f"{how}: {few(names, 3)}" for how, names in odd if names)
    )


def compare_packages(recorded: Path, made: Path) -> Verdict:
    """Return whether the files of two packages have the same checksums."""
    before, now = (json.loads((folder / CHECKSUMS).read_text()) for folder in (recorded, made))
    names = sorted({*before, *now})
    other = [name for name in names if before.get(name) != now.get(name)]
    says = f"{count(len(names), 'file')} of the package, the same bytes"
    return Verdict("model", not other, f"other bytes: {few(other)}" if other else says)


def compare_predictions(
    recorded: Model,
    made: Model,
    rows: pl.DataFrame,
    held_out: tuple[HeldOut, HeldOut] | None = None,
) -> Verdict:
    """Return whether both models predict the same for `rows`, bit for bit.

    `held_out`: what was predicted before the refit, recorded and made again.
    """
    far = distance(made.predict_rows(rows), recorded.predict_rows(rows))
    if held_out:
        before, now = held_out
        same = before.keys.tobytes() == now.keys.tobytes()
        far = max(far, distance(now.packaged, before.packaged) if same else float("inf"))
    many = count(rows.height, "row")
    says = f"{many}, bit for bit" if far == 0 else f"{many}, apart by up to {far:.3g}"
    return Verdict("predictions", far == 0, says)


def compare_metrics(recorded: Mapping[str, float], made: Mapping[str, float]) -> Verdict:
    """Return whether each number that was made again is the one recorded, and none is lacking.

    What the run recorded besides (seconds, say) does not count.
    """
    other = [name for name, value in sorted(made.items()) if recorded.get(name) != value]
    if not other:
        return Verdict("metrics", True, f"all {len(made)}")
    first = min(other, key=lambda name: (name.count("."), name))
    was = f"{recorded[first]:.6g}" if first in recorded else "not recorded"
    says = f"{len(other)} of {len(made)}, such as {first}: {was} then, {made[first]:.6g} now"
    return Verdict("metrics", False, says)
