"""Versions: registered once, opened with every checksum compared, refused once altered."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE
from registries import (
    LEARNT,
    PAST,
    ROWS,
    YES,
    add,
    alter,
    encoder_of,
    in_this_process,
    package,
    past,
    stored,
    train,
)

from evergreen.errors import InputError
from evergreen.stores.registry import Registered, Registry, promotable

pytestmark = pytest.mark.slow  # real stores


def test_the_version_that_a_run_registered(registry, tmp_path):
    folder = package(tmp_path / "package")
    runs = {
        fingerprint: train(registry, fingerprint) for fingerprint in ("one", "two", "three", "none")
    }
    for fingerprint in ("one", "two", "three"):
        registry.register(runs[fingerprint], fingerprint, folder, encoder_of())
    registry.promote("1", None, YES)
    assert [registry.version_of(run_id) for run_id in runs.values()] == [
        Registered("evergreen", "1", "champion"),
        Registered("evergreen", "2", ""),
        Registered("evergreen", "3", "challenger"),
        None,
    ]
    assert [registry.versions.run_of(number) for number in "123"] == [
        runs[name] for name in ("one", "two", "three")
    ]


def test_a_version_says_what_it_is_told_to(registry, tmp_path):
    add(registry, "print", package(tmp_path / "package"))
    registry.versions.describe("1", "**Goes live**")
    assert registry.versions.find("1").description == "**Goes live**"
    registry.versions.open("1")


@pytest.mark.parametrize("name", ["späte flüge", "o'neil"])
def test_any_name_of_a_model(name, open_tracker, tmp_path):
    registry = Registry(open_tracker(tracking={"model": name}))
    folder = package(tmp_path / "package")
    assert (
        add(registry, "print", folder)
        == add(registry, "print", folder)
        == Registered(name, "1", "challenger")
    )
    registry.promote("1", None, YES)
    assert registry.champion() == "1"


def test_a_version_is_opened_with_what_it_has_learnt(registry, tmp_path):
    add(registry, "print", package(tmp_path / "package", seeds=(0, 1)))
    model = registry.versions.open("1")
    assert (model.seeds, model.encoder) == ((0, 1), encoder_of())
    assert (model.learnt.keys.tolist(), model.learnt.newest) == ([3, 7], LEARNT.newest)
    with pytest.raises(InputError, match="no version 9 of 'evergreen'; there are: 1"):
        registry.versions.open("9")


ALTERED = (
    "everything gone",
    "a file gone",
    "a byte of a booster",
    "another model, and checksums to match",
    "fewer rows learnt from, and checksums to match",
    "MLflow's own file",
    "what MLflow would install",
    "a link in a circle",
)


# More of a kind: found by the same checksums
ALIKE = ("a file gone", "fewer rows learnt from, and checksums to match", "a link in a circle")


@pytest.mark.parametrize(
    "how", [pytest.param(how, marks=pytest.mark.long) if how in ALIKE else how for how in ALTERED]
)
def test_an_altered_version_is_refused(how, registry, tmp_path, monkeypatch):
    monkeypatch.setattr("evergreen.stores.reload.subprocess", SimpleNamespace(run=in_this_process))
    folder = package(tmp_path / "package")
    run_id = train(registry, "one")
    registry.register(run_id, "one", folder, encoder_of())
    add(registry, "two", folder)
    registry.promote("1", None, YES)
    assert (registry.champion(), registry.version_of(run_id).version) == ("1", "1")
    alter(stored(registry, "1"), how)
    assert (registry.champion(), registry.version_of(run_id)) == (None, None)
    registry.promote("2", "1", YES)  # a damaged champion is no obstacle
    for use in (
        lambda: registry.versions.open("1"),
        lambda: registry.versions.predict_reloaded("1", ROWS),
        lambda: registry.rollback("back"),
        lambda: registry.rollback("back", to="1"),
        lambda: promotable(registry, "1", override=True),
    ):
        with pytest.raises(InputError, match=r"version 1|checksums.json|seed-0.ubj"):
            use()
    assert registry.aliases() == {"champion": "2", "previous-champion": "1"}
    assert past(registry) == PAST[:2]
    # It is made again
    assert add(registry, "one", folder) == Registered("evergreen", "3", "challenger")


@pytest.mark.parametrize(
    "what", ["get_registered_model", "get_model_version", "get_logged_model", "the files"]
)
def test_a_store_that_does_not_answer_is_not_one_without_a_champion(
    what, registry, tmp_path, monkeypatch
):
    """Else a busy database would let the next challenger be promoted with nothing to beat."""
    add(registry, "one", package(tmp_path / "package"))
    registry.promote("1", None, YES)

    def busy(*_, **__):
        raise MlflowException("database is locked", error_code=TEMPORARILY_UNAVAILABLE)

    if what == "the files":
        monkeypatch.setattr("mlflow.artifacts.download_artifacts", busy)
    else:
        monkeypatch.setattr(type(registry.tracker.client), what, busy)
    with pytest.raises(MlflowException, match="locked"):
        registry.champion()


def test_what_is_opened_leaves_no_copy_behind(registry, tmp_path, monkeypatch):
    add(registry, "one", package(tmp_path / "package"))
    event = registry.promote("1", None, YES)
    place = tmp_path / "copies"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    assert registry.versions.open("1").seeds == (0,)
    assert registry.champion() == "1"
    assert registry.events.evidence(event)["action"] == "promote"
    assert list(place.iterdir()) == []
