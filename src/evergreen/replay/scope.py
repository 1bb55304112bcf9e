"""Scope: which batches are replayed, and by what parameters."""

from __future__ import annotations

from evergreen.dataset import Dataset
from evergreen.errors import InputError
from evergreen.ingest.naming import natural
from evergreen.ingest.sources import open_source
from evergreen.params import Params
from evergreen.replay.outcome import Options

FEWEST = 4  # batches: three make the first champion, the next measures it


def find_batches(dataset: Dataset, params: Params, options: Options) -> tuple[str, ...]:
    """Return the batches of the source that are replayed. Raises InputError for fewer than 4."""
    names = (offer.name for offer in open_source(params.source, dataset).offers())
    found = tuple(
        name for name in names if options.until is None or natural(name) <= natural(options.until)
    )
    if len(found) < FEWEST:
        upto = f" up to {options.until!r}" if options.until else ""
        raise InputError(
            f"a replay needs {FEWEST} batches, three that make the first champion and one that "
            f"measures it; the source holds {len(found)}{upto}: add batches"
        )
    return found


def params_of_then(params: Params, options: Options) -> Params:
    """Return the parameters of a replay: no batch is too old, and nobody is asked for approval."""
    chosen = params.override(sweep={"seeds": options.seeds}, gate={"approval": "auto"})
    source = chosen.source.model_copy(update={"until": options.until})
    rules = chosen.validation.model_copy(update={"max_age_days": None})
    return chosen.model_copy(update={"source": source, "validation": rules})
