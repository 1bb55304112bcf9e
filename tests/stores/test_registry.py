"""Registry: who is champion and why, whatever is killed, altered, asked for twice or by two at once."""

from __future__ import annotations

import itertools
import json
import os
import pickle
import pickletools
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from conftest import CLASSES, FEATURES, fit, forget_mlflow
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE

from evergreen.decision import Decision
from evergreen.errors import InputError
from evergreen.features.encoder import Encoder
from evergreen.files import sha256_of_file, write_json
from evergreen.params import Params
from evergreen.project import Project
from evergreen.promotion.gate import approved
from evergreen.scoring.package import Learnt, Model, read_package, write_package
from evergreen.stores.registry import ASKED, BESIDE, REFUSED, Registered, Registry, main, promotable
from evergreen.stores.tracking import Tracker

pytestmark = pytest.mark.slow  # real stores and servers
TASKS = ("binary", "multiclass", "regression")
ROWS = pl.DataFrame(
    {
        "first": [0.5, -1.0, 1.5, None, 2.0],
        "second": [None, 0.1, -0.1, 3.0, 1e-9],
        "place": ["here", "there", "nowhere", None, "here"],
        "noise": [0.0, 1.0, 2.0, 3.0, None],
    },
    schema={"first": pl.Float32, "second": pl.Float32, "place": pl.String, "noise": pl.Float32},
)
LEARNT = Learnt(np.array([7, 3], np.uint64), "2013-01-31T00:00:00")


def decision(action, *reasons):
    rules = [{"name": "better", "met": action != "refuse", "says": reason} for reason in reasons]
    return Decision(
        action, reasons, {"rules": rules, "champion": None, "groups": {"carrier": 0.25}}
    )


YES, NO, WELL = (
    decision("promote", "better by 0.01", "seeds agree"),
    decision("refuse", "not better enough"),
    decision("ask", "better by 0.002."),
)


def encoder_of(task="binary"):
    return Encoder(task, FEATURES, {"place": ("here", "there")}, CLASSES[task], ("2013-01",))


def package(folder, task="binary", seeds=(0,), learnt=LEARNT):
    return write_package(
        folder, Model(encoder_of(task), {seed: fit(task, seed).booster for seed in seeds}, learnt)
    )


def train(registry, fingerprint):
    """A training run that has ended well."""
    with registry.tracker.open_run(fingerprint, "a run", {}) as run_id:
        pass
    return run_id


def add(registry, fingerprint, folder, task="binary"):
    return registry.register(train(registry, fingerprint), fingerprint, folder, encoder_of(task))


@pytest.fixture(scope="module")
def stores(empty_store, tmp_path_factory):
    """Databases to begin with: four versions, the fourth a challenger; and with the others promoted, 1, 2, then 3."""
    project = Project(tmp_path_factory.mktemp("stores"))
    project.stores.mkdir()
    own = Path(shutil.copy2(empty_store, project.stores / "mlflow.db"))
    with pytest.MonkeyPatch.context() as patch:
        forget_mlflow(patch)
        patch.setattr("mlflow.store.db.utils._verify_schema", lambda engine: None)
        registry = Registry(Tracker(project, Params()))
        folder = package(project.root / "package")
        for fingerprint in ("one", "two", "three", "four"):
            add(registry, fingerprint, folder)
        registered = Path(shutil.copy2(own, project.root / "registered.db"))
        for number, before in (("1", None), ("2", "1"), ("3", "2")):
            registry.promote(number, before, YES, f"2013-0{number}")
        return SimpleNamespace(
            registered=registered, lived=Path(shutil.copy2(own, project.root / "lived.db"))
        )


@pytest.fixture
def registry(open_tracker):
    """No version yet."""
    return Registry(open_tracker())


@pytest.fixture
def stocked(open_tracker, stores):
    """Four versions, none of them champion yet. Their files are shared: leave them alone."""
    return Registry(open_tracker(store=stores.registered))


@pytest.fixture
def lived(open_tracker, stores):
    """Four versions: 3 is champion after 2 and 1. Their files are shared: leave them alone."""
    return Registry(open_tracker(store=stores.lived))


LIVED = {"champion": "3", "previous-champion": "2", "challenger": "4"}


def told(event):
    return event.what, event.version, event.before


PAST = [("promoted", "1", None), ("promoted", "2", "1"), ("promoted", "3", "2")]


def past(registry):
    return [told(event) for event in registry.history()]


# --- versions
# --------------------------------------------------------------------------------------------------


def test_registering_makes_a_challenger_once(registry, tmp_path):
    folder = package(tmp_path / "package")
    assert (registry.aliases(), registry.champion(), registry.history()) == ({}, None, [])
    steps = [
        ("one", Registered("evergreen", "1", "challenger"), {"challenger": "1"}),
        (
            "one",
            Registered("evergreen", "1", "challenger"),
            {"challenger": "1"},
        ),  # an interrupted run, again
        ("two", Registered("evergreen", "2", "challenger"), {"challenger": "2"}),
        ("one", Registered("evergreen", "1", "challenger"), {"challenger": "1"}),
    ]
    for fingerprint, registered, aliases in steps:
        assert add(registry, fingerprint, folder) == registered
        assert registry.aliases() == aliases
    registry.promote("1", None, YES)
    again = add(registry, "one", folder)
    assert again == Registered("evergreen", "1", "champion")  # and no challenger to itself
    assert registry.aliases() == {"champion": "1"}
    assert add(registry, "two", folder) == Registered("evergreen", "2", "challenger")
    assert len(registry.client.search_model_versions("name = 'evergreen'")) == 2
    assert past(registry) == PAST[:1]  # registering decides nothing


def test_a_former_champion_may_challenge(lived):
    assert add(lived, "two", Path("not needed")) == Registered("evergreen", "2", "challenger")
    assert lived.aliases() == LIVED | {"challenger": "2"}


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
    assert [registry.run_of(number) for number in "123"] == [
        runs[name] for name in ("one", "two", "three")
    ]


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


def test_another_project_is_not_misled(registry, open_tracker, tmp_path):
    add(registry, "print", package(tmp_path / "package"))
    assert os.environ.get("MLFLOW_TRACKING_URI") is None
    other = Registry(open_tracker("other"))
    assert other.tracker.uri.endswith("other/stores/mlflow.db")
    assert other.aliases() == {}


def is_pickle(content):
    try:
        return bool(list(pickletools.genops(content)))
    except Exception:
        return False


def test_a_pickle_would_be_noticed():
    assert is_pickle(pickle.dumps({"a": 1}))


def test_the_artifacts_of_a_version(registry, tmp_path):
    import mlflow.artifacts

    run_id = train(registry, "print")
    registry.tracker.record_seed(run_id, fit("binary"), {"roc_auc": 0.7}, "seed print")
    registry.register(run_id, "print", package(tmp_path / "package"), encoder_of())
    mlflow.set_tracking_uri(registry.tracker.uri)
    place = Path(mlflow.artifacts.download_artifacts("models:/evergreen/1"))
    files = {one.name for one in place.rglob("*") if one.is_file()}
    assert {
        "MLmodel",
        "requirements.txt",
        "encoder.json",
        "learnt.npy",
        "seed-0.ubj",
        "checksums.json",
    } <= files
    stored = [
        one
        for one in registry.tracker.project.stores.rglob("*")
        if one.is_file() and one.name != "mlflow.db"
    ]
    assert len(stored) > len(files)
    for path in stored:
        assert path.suffix not in {".pkl", ".pickle", ".joblib", ".cloudpickle", ".pt"}
        assert not is_pickle(path.read_bytes()), path
    wanted = {line.split("==")[0] for line in (place / "requirements.txt").read_text().split()}
    assert (
        {"xgboost", "numpy", "polars", "pandas"}
        <= wanted
        <= {"xgboost", "numpy", "polars", "pandas", "mlflow"}
    )


# --- models as MLflow loads them
# --------------------------------------------------------------------------------------


@pytest.fixture
def loaded(registry, tmp_path):
    """A registered model as MLflow loads it, and the package that it was made from."""
    import mlflow.pyfunc

    folder = package(tmp_path / "package", seeds=(0, 1))
    add(registry, "print", folder)
    mlflow.set_tracking_uri(registry.tracker.uri)
    return mlflow.pyfunc.load_model("models:/evergreen@challenger"), read_package(folder)


def test_a_registered_model_predicts_what_the_package_predicts(loaded):
    model, packaged = loaded
    frame, expected = ROWS.to_pandas(), packaged.predict_rows(ROWS).tobytes()
    doubles = frame.astype(dict.fromkeys(("first", "second", "noise"), "float64"))
    assert np.asarray(model.predict(frame)).tobytes() == expected
    assert (
        np.asarray(model.predict(frame.assign(other=1)[["other", *FEATURES[::-1]]])).tobytes()
        == expected
    )
    assert np.asarray(model.predict(doubles)).tobytes() == expected  # as pandas holds numbers


def test_a_registered_model_has_a_signature(loaded):
    signature = loaded[0].metadata.signature
    assert tuple(signature.inputs.input_names()) == FEATURES
    assert [one.type.name for one in signature.inputs] == ["double", "double", "string", "double"]
    assert signature.outputs is not None


@pytest.mark.parametrize("name", ["first", "place"])
def test_a_registered_model_misses_a_feature(name, loaded):
    with pytest.raises(Exception, match=name):
        loaded[0].predict(ROWS.to_pandas().drop(columns=name))


def test_a_version_is_opened_with_what_it_has_learnt(registry, tmp_path):
    add(registry, "print", package(tmp_path / "package", seeds=(0, 1)))
    model = registry.open("1")
    assert (model.seeds, model.encoder) == ((0, 1), encoder_of())
    assert (model.learnt.keys.tolist(), model.learnt.newest) == ([3, 7], LEARNT.newest)
    with pytest.raises(InputError, match="no version 9 of 'evergreen'; there are: 1"):
        registry.open("9")


def in_this_process(command, **_):
    """Do what `python -m evergreen.stores.registry` would do, without the seconds that a new process takes."""
    assert command[:3] == [sys.executable, "-m", "evergreen.stores.registry"]
    try:
        main(*command[3:])
    except Exception as error:
        return subprocess.CompletedProcess(command, 1, "", f"Traceback\n{error}\n")
    return subprocess.CompletedProcess(command, 0, "", "")


@pytest.mark.parametrize("task", TASKS)
def test_a_model_that_is_loaded_afresh_predicts_the_same_bits(
    task, registry, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        "evergreen.stores.registry.subprocess", SimpleNamespace(run=in_this_process)
    )
    folder = package(tmp_path / "package", task, seeds=(0, 1))
    add(registry, "print", folder, task)
    found, expected = registry.predict_afresh("1", ROWS), read_package(folder).predict_rows(ROWS)
    assert found.dtype == expected.dtype == np.float32
    assert (found.shape, found.tobytes()) == (expected.shape, expected.tobytes())
    with pytest.raises(InputError, match=r"version 1 of 'evergreen' cannot be loaded .*first"):
        registry.predict_afresh("1", ROWS.drop("first"))


@pytest.mark.slow
def test_a_new_process_predicts_the_same_bits_and_refuses_an_altered_model(registry, tmp_path):
    folder = package(tmp_path / "package", "multiclass", seeds=(0, 1))
    for fingerprint in ("one", "two"):
        add(registry, fingerprint, folder, "multiclass")
    alter(stored(registry, "2"), "a byte of a booster")
    with ThreadPoolExecutor() as pool:  # each process imports for seconds
        whole, altered = (pool.submit(registry.predict_afresh, number, ROWS) for number in "12")
        assert whole.result().tobytes() == read_package(folder).predict_rows(ROWS).tobytes()
        with pytest.raises(
            InputError, match=r"version 2 .* cannot be loaded .*seed-0.ubj .* do not use this model"
        ):
            altered.result()


# --- files that are not as they were registered
# -----------------------------------------------------------------------


def stored(registry, number):
    """The folder in the store that holds a version's package."""
    source = registry.client.get_model_version(registry.name, number).source
    place = Path(
        registry.client.get_logged_model(source.removeprefix("models:/")).artifact_location
    )
    (sums,) = place.rglob("checksums.json")
    return sums.parent


def alter(folder, how):
    booster = folder / "seed-0.ubj"
    content = booster.read_bytes()
    if how == "everything gone":
        shutil.rmtree(folder)
    elif how == "a file gone":
        booster.unlink()
    elif how == "a byte of a booster":
        booster.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    elif how == "another model, and checksums to match":
        booster.write_bytes(fit("binary", 1).booster)
        sums = {
            path.name: sha256_of_file(path)
            for path in folder.iterdir()
            if path.name != "checksums.json"
        }
        write_json(folder / "checksums.json", sums)
    elif how == "MLflow's own file":
        told = folder.parents[1] / "MLmodel"
        told.write_text(told.read_text().replace("evergreen.scoring.package", "mlflow.sklearn"))
    elif how == "what MLflow would install":
        (folder.parents[1] / "requirements.txt").write_text("another-package\n")
    elif how == "a link in a circle":
        booster.unlink()
        booster.symlink_to(booster)
    else:
        package(folder, learnt=Learnt(LEARNT.keys[:1], LEARNT.newest))
    if "to match" in how:
        read_package(folder)  # by its checksums nothing is wrong


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


@pytest.mark.parametrize("how", ALTERED)
def test_an_altered_version_is_refused(how, registry, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "evergreen.stores.registry.subprocess", SimpleNamespace(run=in_this_process)
    )
    folder = package(tmp_path / "package")
    one = train(registry, "one")
    registry.register(one, "one", folder, encoder_of())
    add(registry, "two", folder)
    registry.promote("1", None, YES)
    assert (registry.champion(), registry.version_of(one).version) == ("1", "1")
    alter(stored(registry, "1"), how)
    assert (registry.champion(), registry.version_of(one)) == (None, None)
    registry.promote("2", "1", YES)  # a damaged champion is no obstacle
    for use in (
        lambda: registry.open("1"),
        lambda: registry.predict_afresh("1", ROWS),
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
        monkeypatch.setattr(type(registry.client), what, busy)
    with pytest.raises(MlflowException, match="locked"):
        registry.champion()


def test_what_is_opened_leaves_no_copy_behind(registry, tmp_path, monkeypatch):
    add(registry, "one", package(tmp_path / "package"))
    event = registry.promote("1", None, YES)
    place = tmp_path / "copies"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    assert registry.open("1").seeds == (0,)
    assert registry.champion() == "1"
    assert registry.evidence(event)["action"] == "promote"
    assert list(place.iterdir()) == []


MLMODEL = """
flavors:
  python_function:
    data: {data}
    env: {{conda: conda.yaml, virtualenv: python_env.yaml}}
    loader_module: {loader}
    python_version: 3.12.0
{more}
model_id: {model}
"""


@pytest.mark.parametrize(
    ("data", "loader", "more"),
    [
        ("model.pkl", "mlflow.sklearn", ""),
        ("../../outside/model.pkl", "mlflow.sklearn", ""),
        ("data/package", "mine", "    code: code"),
        (
            "data/package",
            "mlflow.pyfunc.model",
            "    python_model: model.pkl\n    cloudpickle_version: 3.0.0",
        ),
    ],
)
@pytest.mark.parametrize("age", ["new", "older"])
def test_nothing_beside_a_model_makes_the_project_run_code(
    age, data, loader, more, registry, tmp_path
):
    """A version that was registered before MLflow's own files were noted is used by what its package holds alone."""
    folder, ran = package(tmp_path / "package"), tmp_path / "ran"
    add(registry, "one", folder)
    if age == "older":
        registry.client.delete_model_version_tag(registry.name, "1", BESIDE)
    beside = stored(registry, "1").parents[1]
    attack = f"import pathlib; pathlib.Path({str(ran)!r}).touch()"
    (beside / "model.pkl").write_bytes(f"c__builtin__\nexec\n(V{attack}\ntR.".encode())
    (beside / "code").mkdir()
    (beside / "code" / "mine.py").write_text(attack)
    (beside / "aaa").mkdir()
    shutil.copy2(
        beside / "data" / "package" / "checksums.json", beside / "aaa"
    )  # a list that comes first, without its files
    (beside / "MLmodel").write_text(
        MLMODEL.format(data=data, loader=loader, more=more, model=beside.parent.name)
    )
    if age == "new":
        with pytest.raises(InputError, match="MLmodel of version 1 of 'evergreen' was changed"):
            registry.predict_afresh("1", ROWS)
        assert registry.champion() is None
        assert not ran.exists()
        return
    shutil.rmtree(beside / "aaa")
    assert (
        registry.predict_afresh("1", ROWS).tobytes()
        == read_package(folder).predict_rows(ROWS).tobytes()
    )
    registry.promote("1", None, YES)
    assert (registry.champion(), registry.open("1").seeds, ran.exists()) == ("1", (0,), False)


# --- promotion
# --------------------------------------------------------------------------------------------------


def test_a_promotion_is_written_down_with_its_evidence(stocked, tmp_path):
    picture = tmp_path / "comparison.png"
    picture.write_bytes(b"a picture")
    began = datetime.now(UTC)
    first = stocked.promote("2", None, YES, "2013-05")
    event = stocked.promote("4", "2", YES, "2013-06", [picture])
    assert stocked.aliases() == {"champion": "4", "previous-champion": "2"}
    assert stocked.registered("4") == Registered("evergreen", "4", "champion")
    assert stocked.registered("2") == Registered("evergreen", "2", "previous-champion")
    assert stocked.champion() == "4"
    assert [told(first), told(event)] == [("promoted", "2", None), ("promoted", "4", "2")]
    assert (event.batch, event.reason) == ("2013-06", "better by 0.01; seeds agree")
    assert abs((event.when - began).total_seconds()) < 60
    assert stocked.history() == [first, event]
    assert stocked.evidence(event) == json.loads(json.dumps(YES.as_plain()))
    kept = {one.path: one for one in stocked.client.list_artifacts(event.run_id)}
    assert sorted(kept) == ["comparison.png", "decision.json"]
    run = stocked.client.get_run(event.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "version 4 promoted (2013-06)"
    assert "| better | met | seeds agree |" in run.data.tags["mlflow.note.content"]
    assert (
        Path(stocked.client.download_artifacts(event.run_id, "comparison.png")).read_bytes()
        == b"a picture"
    )


@pytest.mark.parametrize(("what", "said"), [(REFUSED, NO), (ASKED, WELL)])
def test_what_is_not_promoted_is_written_down_as_well(what, said, lived, tmp_path):
    picture = tmp_path / "comparison.png"
    picture.write_bytes(b"a picture")
    event = lived.record("4", what, said, "2013-06", [picture])
    assert lived.aliases() == LIVED
    assert past(lived) == [*PAST, (what, "4", "3")]
    assert lived.last_decision("4") == lived.history()[-1] == event
    assert (event.batch, event.reason) == ("2013-06", said.reasons[0])
    assert lived.evidence(event) == json.loads(json.dumps(said.as_plain()))
    assert {one.path for one in lived.client.list_artifacts(event.run_id)} == {
        "comparison.png",
        "decision.json",
    }
    way = (
        "the gate refused version 4 .*promote 4 --override"
        if what == REFUSED
        else "version 4 waits.*promote 4 --approve"
    )
    assert re.match(way, lived.why_no_champion())


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ("2", "version 4 was compared with version 2, but version 3 is champion now"),
        (None, "version 4 was compared with no champion, but version 3 is champion now"),
        ("4", "version 4 was compared with version 4, but version 3 is champion now"),
    ],
)
def test_of_two_promotions_at_once_one_is_refused(expected, said, lived):
    with pytest.raises(InputError, match=said):
        lived.promote("4", expected, YES)
    assert (lived.aliases(), past(lived)) == (LIVED, PAST)


def test_a_promotion_in_place_of_a_champion_that_is_none(stocked):
    with pytest.raises(
        InputError, match="compared with version 1, but no champion is champion now"
    ):
        stocked.promote("4", "1", YES)
    assert (stocked.aliases(), stocked.history()) == ({"challenger": "4"}, [])


# --- what a person may promote
# ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "number", "expected"),
    [
        (LIVED, None, "4"),
        (LIVED, "1", "1"),
        (LIVED, "2", "2"),
        (LIVED, "3", "version 3 is the champion already"),
        (LIVED, "9", "no version 9 of 'evergreen'; there are: 1, 2, 3, 4"),
        ({"champion": "3"}, None, "there is no challenger"),
        ({"champion": "3", "challenger": "3"}, None, "version 3 is the champion already"),
        ({}, "9", "no version 9"),
    ],
)
def test_which_version_is_meant(held, number, expected, lived, monkeypatch):
    monkeypatch.setattr(lived, "aliases", lambda: held)
    if expected.isdigit():
        assert lived.pick(number) == expected
    else:
        with pytest.raises(InputError, match=expected):
            lived.pick(number)


JUDGED = {
    "asked": (lambda one: [one.record("4", ASKED, WELL)], None, WELL),
    "refused": (
        lambda one: [one.record("4", REFUSED, NO)],
        "not better enough.* takes --override",
        NO,
    ),
    "asked, then refused": (
        lambda one: [one.record("4", ASKED, WELL), one.record("4", REFUSED, NO)],
        "not better",
        NO,
    ),
    "refused, then asked": (
        lambda one: [one.record("4", REFUSED, NO), one.record("4", ASKED, WELL)],
        None,
        WELL,
    ),
    "another one asked for": (
        lambda one: [one.record("1", ASKED, WELL)],
        "not left it to a person",
        None,
    ),
    "never judged": (lambda one: [], "not left it to a person", None),
    "asked, and another champion since": (
        lambda one: [one.record("4", ASKED, WELL), one.rollback("bad")],
        "version 4 was compared with version 3, which is champion no more",
        WELL,
    ),
    "promoted and rolled back": (
        lambda one: [one.record("4", ASKED, WELL), one.promote("4", "3", YES), one.rollback("bad")],
        "not left it to a person",
        YES,
    ),
}


@pytest.mark.parametrize("case", JUDGED)
def test_what_the_gate_left_to_a_person(case, lived):
    happen, refusal, said = JUDGED[case]
    happen(lived)
    if refusal:
        with pytest.raises(InputError, match=refusal):
            promotable(lived, "4")
    else:
        assert promotable(lived, "4").as_plain() == said.as_plain()
    found = promotable(lived, "4", override=True)
    assert found.as_plain() == (said or Decision("ask", (), {"rules": []})).as_plain()


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        (False, "approved by a person: I looked; not better enough"),
        (True, "AGAINST THE GATE by a person: I looked; not better enough"),
    ],
)
def test_a_persons_reason_is_kept_beside_the_gates(override, reason, lived):
    lived.record("4", REFUSED, NO)
    said = approved(promotable(lived, "4", override=True), "I looked", override=override)
    event = lived.promote("4", "3", said)
    assert (event.what, event.reason) == ("promoted", reason)
    assert lived.evidence(lived.last_decision("4")) == json.loads(json.dumps(said.as_plain()))
    assert lived.evidence(event)["evidence"]["rules"] == NO.rules


# --- rollback
# --------------------------------------------------------------------------------------------------


def would_return(registry):
    """Which version a rollback would bring back now."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_change", lambda what, number, *_: number)
        try:
            return registry.rollback("only asking")
        except InputError:
            return None


def test_a_long_life(stocked):
    life = [
        (lambda: stocked.promote("1", None, YES), {"champion": "1", "challenger": "4"}),
        (
            lambda: stocked.promote("2", "1", YES),
            {"champion": "2", "previous-champion": "1", "challenger": "4"},
        ),
        (lambda: stocked.promote("3", "2", YES), LIVED),
        (
            lambda: stocked.rollback("bad"),
            {"champion": "2", "previous-champion": "1", "challenger": "4"},
        ),
        # Back, not to and fro
        (lambda: stocked.rollback("bad too"), {"champion": "1", "challenger": "4"}),
        (lambda: stocked.promote("4", "1", YES), {"champion": "4", "previous-champion": "1"}),
        (
            lambda: stocked.rollback("to a known one", to="2"),
            {"champion": "2", "previous-champion": "1"},
        ),
        # Not 1, as at first
        (lambda: stocked.promote("4", "2", YES), {"champion": "4", "previous-champion": "2"}),
        (lambda: stocked.record("3", REFUSED, NO), {"champion": "4", "previous-champion": "2"}),
        (
            lambda: add(stocked, "two", Path("not needed")),
            {"champion": "4", "previous-champion": "2", "challenger": "2"},
        ),
        (
            lambda: stocked.rollback("the challenger it is"),
            {"champion": "2", "previous-champion": "1"},
        ),
    ]
    for number, (step, aliases) in enumerate(life):
        step()
        assert stocked.aliases() == aliases, number
        assert would_return(stocked) == aliases.get("previous-champion"), number
        assert stocked.recover() == [], number
    assert past(stocked) == [
        *PAST,
        ("rolled back", "2", "3"),
        ("rolled back", "1", "2"),
        ("promoted", "4", "1"),
        ("rolled back", "2", "4"),
        ("promoted", "4", "2"),
        ("refused", "3", "4"),
        ("rolled back", "2", "4"),
    ]


def test_a_rollback_is_written_down(lived):
    event = lived.rollback("angry callers")
    assert lived.history()[-1] == event
    assert (told(event), event.reason) == (("rolled back", "2", "3"), "angry callers")
    assert event.batch == "2013-02"  # which version 2 was judged on
    assert lived.evidence(event) == {}  # a person acted alone


@pytest.mark.parametrize(
    ("start", "to", "said"),
    [
        ("registered", None, "no earlier champion to go back to"),
        ("lived", "3", "version 3 is the champion already"),
        ("lived", "9", "no version 9 of 'evergreen'; there are: 1, 2, 3, 4"),
        ("lived", "two", "no version two"),
    ],
)
def test_a_rollback_to_nowhere(start, to, said, open_tracker, stores):
    registry = Registry(open_tracker(store=getattr(stores, start)))
    before = registry.aliases(), past(registry)
    with pytest.raises(InputError, match=said):
        registry.rollback("bad", to)
    assert (registry.aliases(), past(registry)) == before


def test_the_first_champion_has_none_before_it(stocked):
    stocked.promote("1", None, YES)
    with pytest.raises(
        InputError, match="no earlier champion to go back to: name a version with --to"
    ):
        stocked.rollback("bad")
    assert stocked.champion() == "1"


# --- history
# --------------------------------------------------------------------------------------------------


def test_who_was_champion_when(stocked, monkeypatch):
    def on(day):
        moment = datetime(2026, 5, day, 12, tzinfo=UTC)
        monkeypatch.setattr(
            "mlflow.tracking._tracking_service.client.get_current_time_millis",
            lambda: int(1000 * moment.timestamp()),
        )

    steps = {
        3: lambda: stocked.promote("1", None, YES),
        5: lambda: stocked.record("2", REFUSED, NO),
        8: lambda: stocked.promote("3", "1", YES),
        9: lambda: stocked.record("4", ASKED, WELL),
        20: lambda: stocked.rollback("bad"),
    }
    for day, step in steps.items():
        on(day)
        step()
    assert [event.when.day for event in stocked.history()] == list(steps)
    for moment, expected in {
        datetime(2025, 1, 1, tzinfo=UTC): None,
        datetime(2026, 5, 3, 11, 59, 59, tzinfo=UTC): None,
        datetime(2026, 5, 3, 12, tzinfo=UTC): ("promoted", "1", None),
        datetime(2026, 5, 6, tzinfo=UTC): ("promoted", "1", None),  # a refusal changes nothing
        datetime(2026, 5, 8, 12, tzinfo=UTC): ("promoted", "3", "1"),
        datetime(2026, 5, 20, 11, tzinfo=UTC): ("promoted", "3", "1"),
        datetime.fromisoformat("2026-05-20T10:30-03:00"): ("rolled back", "1", "3"),
        datetime(2030, 1, 1, tzinfo=UTC): ("rolled back", "1", "3"),
    }.items():
        event = stocked.live_at(moment)
        assert (told(event) if event else None) == expected, moment
    assert told(stocked.last_decision("2")) == ("refused", "2", "1")
    assert told(stocked.last_decision("1")) == ("rolled back", "1", "3")


def test_a_version_that_nothing_was_decided_about(lived):
    assert lived.last_decision("4") is None


# --- killed half-way
# --------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process is gone: nothing after this is done."""


class Mortal:
    """MLflow's client in a process that is killed when it is about to change something for the `at`-th time."""

    def __init__(self, client, at):
        self._client, self._at, self.done = client, at, []

    def __getattr__(self, name):
        found = getattr(self._client, name)
        if not name.startswith(("create_", "log_", "set_", "delete_", "update_")):
            return found

        def call(*args, **kwargs):
            if len(self.done) == self._at:
                raise Killed(name)
            result = found(*args, **kwargs)
            self.done.append(name)
            return result

        return call


def kill(registry, at, act):
    """Do something in a process that is killed half-way; returns what was changed before, and what was not any more."""
    mortal = Mortal(registry.client, at)
    registry.client = mortal
    try:
        act(registry)
    except Killed as killed:
        return mortal.done, str(killed)
    finally:
        registry.client = mortal._client
    return mortal.done, None


CHANGES = {
    "the first promotion": (
        "registered",
        lambda one, files: one.promote("4", None, YES, "2013-06", files),
        ("promoted", "4", None),
        {"champion": "4"},
    ),
    "a promotion": (
        "lived",
        lambda one, files: one.promote("4", "3", YES, "2013-06", files),
        ("promoted", "4", "3"),
        {"champion": "4", "previous-champion": "3"},
    ),
    "a rollback": (
        "lived",
        lambda one, _: one.rollback("bad"),
        ("rolled back", "2", "3"),
        {"champion": "2", "previous-champion": "1", "challenger": "4"},
    ),
    "a rollback to the first": (
        "lived",
        lambda one, _: one.rollback("bad", to="1"),
        ("rolled back", "1", "3"),
        {"champion": "1", "challenger": "4"},
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_kill_leaves_the_old_champion_or_the_new_one(change, open_tracker, stores, tmp_path):
    start, act, event, after = CHANGES[change]
    picture = tmp_path / "comparison.png"
    picture.write_bytes(b"a picture")
    outcomes = []
    for at in itertools.count():
        registry = Registry(open_tracker(f"killed at {at}", store=getattr(stores, start)))
        before, known = registry.aliases(), past(registry)
        done, killed = kill(registry, at, lambda one: act(one, [picture]))
        changed, begun = "set_registered_model_alias" in done, "create_run" in done
        assert registry.champion() == (after if changed else before).get("champion"), done
        survivor = Registry(registry.tracker)
        sentences = survivor.recover()
        assert len(sentences) == (begun and killed is not None), done
        assert all(
            ("it is champion" if changed else "nothing was changed") in one for one in sentences
        ), done
        assert survivor.aliases() == survivor.shown_aliases() == (after if changed else before), (
            done
        )
        assert past(survivor) == known + [event] * changed, done
        assert survivor.recover() == [], done
        outcomes.append(changed)
        if not killed:
            break
        if killed == "set_registered_model_alias" and not changed:
            # What was abandoned can be done again
            act(survivor, [picture])
            assert (survivor.aliases(), past(survivor)) == (after, [*known, event]), done
    assert outcomes == sorted(outcomes)
    assert len(set(outcomes)) == 2
    assert len(outcomes) > 3  # at least: before, between, after


def test_a_recovery_may_be_killed_as_well(open_tracker, stores):
    for at in itertools.count():
        registry = Registry(open_tracker(f"killed at {at}", store=stores.lived))
        done, _ = kill(registry, 5, lambda one: one.promote("4", "3", YES))
        assert done[-1] == "set_registered_model_alias"
        _, killed = kill(registry, at, Registry.recover)
        registry.recover()
        assert registry.aliases() == {"champion": "4", "previous-champion": "3"}, at
        assert past(registry) == [*PAST, ("promoted", "4", "3")]
        if not killed:
            break
    assert at > 1


@pytest.mark.parametrize("number", ["4", "3"])
def test_a_killed_refusal_is_no_decision(number, lived):
    kill(lived, 2, lambda one: one.record(number, REFUSED, NO))
    said = f"version {number} was being refused when the process was killed: nothing was changed"
    assert lived.recover() == [said]
    assert (lived.aliases(), past(lived)) == (LIVED, PAST)


@pytest.mark.parametrize("name", ["o'neil", '100% "größe"'])
def test_recovery_in_any_folder(name, open_tracker, stores):
    registry = Registry(open_tracker(name, store=stores.lived))
    kill(registry, 1, lambda one: one.rollback("bad"))
    assert len(registry.recover()) == 1
    assert registry.aliases() == LIVED


def test_changes_of_another_project_in_the_same_store_are_left_alone(
    lived, open_tracker, monkeypatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", lived.tracker.uri)
    mine, theirs = (Registry(open_tracker(name)) for name in ("project", "other"))
    assert mine.tracker.root != theirs.tracker.root
    kill(mine, 1, lambda one: one.rollback("bad"))
    assert theirs.recover() == []
    assert len(mine.recover()) == 1
