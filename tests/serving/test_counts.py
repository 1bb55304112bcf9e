"""Counts: a page that Prometheus reads."""

from __future__ import annotations

from types import SimpleNamespace

from prometheus_client.parser import text_string_to_metric_families

from evergreen.serving.counts import Counts


def test_each_server_counts_for_itself():
    mine, other = Counts(), Counts()
    mine.answered("/predict", 200)
    mine.recorded("dropped", 3)
    mine.failed()
    for counts, expected in ((mine, 1.0), (other, 0.0)):
        page, kind = counts.page(SimpleNamespace(live=None, told="no champion"))
        assert kind.startswith("text/plain")
        samples = {
            sample.name: sample.value
            for family in text_string_to_metric_families(page.decode())
            for sample in family.samples
        }
        assert samples["evergreen_switch_failures_total"] == expected
        assert samples["evergreen_trouble"] == 1.0
        assert samples.get("evergreen_record_rows_total", 0.0) == 3 * expected
