"""What is observed: rules that fire when they should, and names that `/metrics` really has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from prometheus_client import CollectorRegistry

from evergreen.serving.counts import Counts
from evergreen.serving.facts import GAUGES

OBSERVE = ROOT / "infra" / "observe"
RULES = yaml.safe_load((OBSERVE / "rules.yaml").read_text())
ALERTS = {rule["alert"]: rule["expr"] for group in RULES["groups"] for rule in group["rules"]}
BOARD = json.loads((OBSERVE / "grafana" / "dashboards" / "evergreen.json").read_text())
PANELS = [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]
# Of Prometheus itself, and of servers that are not ours: test_stack_in_engine.py asks them
OTHERS = {"up", "ALERTS", "mlflow_http_request_total", "prefect_worker_channel_connections_total"}
NAME = re.compile(r"\b(?:evergreen|mlflow|prefect)_\w+|\bup\b|\bALERTS\b")
promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool is not on the PATH: rules were NOT tried"
)

M, H = 60, 3600
CASES = [  # alert, series, minutes until it is asked, whether it fires
    ("ServerDown", {'up{job="mlflow"}': "0x600"}, 10, True),
    ("ServerDown", {'up{job="mlflow"}': "0x2 1x600"}, 10, False),
    ("AnswersFail", {'evergreen_answers_total{path="/predict",status="200"}': "0+90x60",
                     'evergreen_answers_total{path="/predict",status="500"}': "0+10x60"}, 30, True),
    ("AnswersFail", {'evergreen_answers_total{path="/predict",status="200"}': "0+99x60",
                     'evergreen_answers_total{path="/predict",status="500"}': "0+1x60"}, 30, False),
    ("AnswersSlow", {'evergreen_predict_seconds_bucket{le="1"}': "0+1x60",
                     'evergreen_predict_seconds_bucket{le="5"}': "0+100x60",
                     'evergreen_predict_seconds_bucket{le="+Inf"}': "0+100x60"}, 30, True),
    ("AnswersSlow", {'evergreen_predict_seconds_bucket{le="1"}': "0+100x60",
                     'evergreen_predict_seconds_bucket{le="5"}': "0+100x60",
                     'evergreen_predict_seconds_bucket{le="+Inf"}': "0+100x60"}, 30, False),
    ("RowsNotKept", {'evergreen_record_rows_total{what="lost"}': "0x5 10x60"}, 30, True),
    ("RowsNotKept", {'evergreen_record_rows_total{what="kept"}': "0+10x60"}, 30, False),
    ("DiskFull", {"evergreen_disk_free_bytes": "9x60", "evergreen_disk_bytes": "100x60"}, 30, True),
    ("DiskFull", {"evergreen_disk_free_bytes": "11x60", "evergreen_disk_bytes": "100x60"}, 30,
     False),
    ("ChampionUnusable", {"evergreen_trouble": "1x60"}, 30, True),
    ("ChampionUnusable", {"evergreen_trouble": "0x60",
                          "evergreen_switch_failures_total": "0+0.1x60"}, 30, False),
    ("FactsOld", {"evergreen_facts_read_timestamp_seconds": "60x60"}, 20, True),
    ("FactsOld", {"evergreen_facts_read_timestamp_seconds": "0+60x60"}, 20, False),
    ("ChampionOld", {"evergreen_champion_behind_seconds": f"{101 * 24 * H}x60"}, 5, True),
    ("ChampionOld", {"evergreen_champion_behind_seconds": f"{99 * 24 * H}x60"}, 5, False),
    ("ChampionStale", {'evergreen_stale_cost{end="low"}': "0.01x2000"}, 1500, True),
    ("ChampionStale", {'evergreen_stale_cost{end="low"}': "-0.01x2000",
                       'evergreen_stale_cost{end="value"}': "0.02x2000"}, 1500, False),
    ("ColumnsDrifted", {"evergreen_drifted_columns": "2x60"}, 5, True),
    ("ColumnsDrifted", {"evergreen_drifted_columns": "0x60"}, 5, False),
    ("BatchHeld", {"evergreen_batches_held": "1x60"}, 5, True),
    ("BatchHeld", {"evergreen_batches_held": "0x60"}, 5, False),
    ("TrainingsFail", {"evergreen_training_failures": "2x60"}, 5, True),
    ("TrainingsFail", {"evergreen_training_failures": "1x60"}, 5, False),
    ("TrainingSlow", {"evergreen_training_running": "1x600"}, 420, True),
    ("TrainingSlow", {"evergreen_training_running": "1x300 0 1x300"}, 420, False),
    ("BatchesWait", {"evergreen_batches_waiting": "3x2000"}, 1500, True),
    ("BatchesWait", {"evergreen_batches_waiting": "3x700 0 3x2000"}, 1500, False),
    ("RetrainingWaits", {"evergreen_retrainings_asked": "1x2000"}, 1500, True),
    ("RetrainingWaits", {"evergreen_retrainings_asked": "0x2000"}, 1500, False),
]  # fmt: skip


def names_of(registry: CollectorRegistry) -> set[str]:
    """The names that a page of the registry can hold, also while it holds none of them."""
    return set(registry._names_to_collectors)


@pytest.mark.parametrize("expr", [*ALERTS.values(), *PANELS])
def test_each_name_is_one_that_is_served(expr: str) -> None:
    ours = names_of(Counts()._registry) | set(GAUGES)
    named = set(NAME.findall(expr))
    assert named, "it asks for nothing"
    assert named <= ours | OTHERS


def test_every_fact_of_the_project_is_shown() -> None:
    shown = {name for expr in [*ALERTS.values(), *PANELS] for name in NAME.findall(expr)}
    assert set(GAUGES) - shown == {"evergreen_champion_newest_row_timestamp_seconds"}


def test_what_is_scraped_is_a_server_of_the_stack_and_asks_for_its_login() -> None:
    config = yaml.safe_load((OBSERVE / "prometheus.yaml").read_text())
    servers = yaml.safe_load((ROOT / "infra" / "compose.yaml").read_text())["services"]
    for job in config["scrape_configs"]:
        name, _, port = job["static_configs"][0]["targets"][0].partition(":")
        assert servers[name]["ports"][0].endswith(f":{port}")
        assert job["basic_auth"]["password_file"] == "/run/secrets/password"
    assert "password" in servers["prometheus"]["secrets"]


def test_each_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    assert {(name, fires) for name, _, _, fires in CASES} == {
        (name, fires) for name in ALERTS for fires in (True, False)
    }


def ask(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True)


@promtool
def test_the_files_are_what_prometheus_reads(tmp_path: Path) -> None:
    assert ask("check", "config", OBSERVE / "prometheus.yaml").returncode == 0
    broken = tmp_path / "rules.yaml"
    broken.write_text((OBSERVE / "rules.yaml").read_text().replace("up == 0", "up == "))
    assert ask("check", "rules", broken).returncode != 0


@pytest.mark.slow
@promtool
def test_rules_fire_when_they_should_and_not_before(tmp_path: Path) -> None:
    tests = [
        {
            "interval": "1m",
            "name": f"{alert} {fires}",
            "input_series": [{"series": name, "values": of} for name, of in series.items()],
            "promql_expr_test": [
                {
                    "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})',
                    "eval_time": f"{minutes}m",
                    "exp_samples": [{"labels": "{}", "value": 1}] if fires else [],
                }
            ],
        }
        for alert, series, minutes, fires in CASES
    ]
    rules = str(OBSERVE / "rules.yaml")
    file = tmp_path / "tests.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [rules], "tests": tests}))
    done = ask("test", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr
