"""The dashboard and the alerts speak of metrics that there are, and leave none out."""

import json
import re
from pathlib import Path

import pytest
import yaml

from smsbridge.core.message import DeliveryKind
from smsbridge.log import Event
from smsbridge.metrics import UNKNOWN, Metrics

GRAFANA = Path(__file__).parents[1] / "contrib" / "grafana"
DASHBOARD = json.loads((GRAFANA / "smsbridge.json").read_text())
ALERTS = yaml.safe_load((GRAFANA / "alerts.yml").read_text())
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
TARGETS = [target for panel in DASHBOARD["panels"] for target in panel["targets"]]
EXPRESSIONS = [target["expr"] for target in TARGETS] + [rule["expr"] for rule in RULES]
WORDS = {
    *("sum", "max", "min", "rate", "increase", "histogram_quantile", "absent", "vector", "by", "or", "le"),
    *("m", "h", "up"),
}


def exported():
    """Every name that a scrape may show, with its labels."""
    names = {}
    metrics = Metrics()
    for collector, its_names in metrics.registry._collector_to_names.items():
        labels = set(getattr(collector, "_labelnames", ()))
        for name in its_names:
            names[name] = labels | ({"le"} if name.endswith("_bucket") else set())
    of_the_process = re.findall(r"^# TYPE (process_\w+)", metrics.render().decode(), re.MULTILINE)
    return {**{name: set() for name in of_the_process}, **names}


EXPORTED = exported()


def named_in(expression):
    """The metrics of an expression, each with the labels that are asked of it."""
    without_strings = re.sub(r'"[^"]*"', '""', expression)
    return {
        found[1]: set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", found[2] or ""))
        for found in re.finditer(r"\b((?:smsbridge|process)_\w+|up)\b(?:\{([^}]*)\})?", without_strings)
    }


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_names_metrics_and_labels_that_there_are(expression):
    named = named_in(expression)
    assert named
    for name, labels in named.items():
        assert name == "up" or name in EXPORTED
        assert labels <= EXPORTED.get(name, set()) | {"job", "instance"}
    grouped = {label.strip() for by in re.findall(r"by \(([^)]*)\)", expression) for label in by.split(",")}
    (labels,) = [EXPORTED[name] for name in named if name != "up"] or [set()]
    assert grouped <= labels | {"job", "instance"}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_is_closed_and_made_of_known_words(expression):
    for opened, closed in ("()", "[]", "{}"):
        assert expression.count(opened) == expression.count(closed)
    bare = re.sub(r'"[^"]*"|\$\w+|\{[^}]*\}|by \([^)]*\)|[\d.]+(e\d+)?', " ", expression)
    unknown = set(re.findall(r"[A-Za-z_]\w*", bare)) - WORDS - EXPORTED.keys()
    assert unknown == set()
    counters = {name for name in named_in(expression) if name.endswith(("_total", "_bucket"))}
    assert all(re.search(rf"(rate|increase)\({name}\{{", expression) for name in counters)


def test_every_metric_of_ours_is_on_the_dashboard():
    shown = {name for target in TARGETS for name in named_in(target["expr"])}
    ours = {
        name for name in EXPORTED if name.startswith("smsbridge_") and not name.endswith(("_created", "_count", "_sum"))
    }
    samples = {name for name in ours if f"{name}_total" not in ours and f"{name}_bucket" not in ours}
    assert samples - shown == set()
    assert "process_resident_memory_bytes" in shown


def test_panels_have_a_place_of_their_own_and_say_what_they_show():
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids) > 10
    taken = set()
    for panel in DASHBOARD["panels"]:
        assert panel["title"]
        assert panel["description"]
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not taken & cells
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert {target["datasource"]["uid"] for target in TARGETS} == {"${datasource}"}


def test_every_alert_says_what_to_do():
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"]
        assert len(rule["annotations"]["description"]) > 40


def test_what_an_alert_asks_the_increase_of_is_zero_before_it_happens():
    """What first shows as 1 has not increased, as Prometheus has it: the first text of all would raise nothing."""
    metrics = Metrics()
    metrics.start_at_zero(["voipms"], DeliveryKind)
    samples = [sample for collected in metrics.registry.collect() for sample in collected.samples]
    for name, selector in re.findall(r"increase\((\w+)\{([^}]*)\}", " ".join(rule["expr"] for rule in RULES)):
        asked = {label: value for label, value in re.findall(r'(\w+)=~?"([^"]*)"', selector) if label != "job"}
        found = [
            sample
            for sample in samples
            if sample.name == name and all(re.fullmatch(value, sample.labels[label]) for label, value in asked.items())
        ]
        assert {sample.value for sample in found} == {0}, (name, selector)
    for provider in ("voipms", UNKNOWN):
        for status in (400, 403, 404, 405, 408, 413, 415, 429, 500, 503):
            assert metrics.registry.get_sample_value(
                "smsbridge_callbacks_total", {"provider": provider, "status": str(status)}
            ) == 0  # fmt: skip


def test_who_stands_by_is_not_missed():
    """A node that stands by has no listener, so that its target is down for as long as all is well."""
    (gone,) = (rule for rule in RULES if rule["alert"] == "SmsbridgeGone")
    assert gone["expr"] == 'absent(up{job="smsbridge"} == 1)'


def test_the_units_limit_is_told_as_it_is():
    unit = (GRAFANA.parents[1] / "systemd" / "smsbridge.service").read_text()
    (limit,) = re.findall(r"^MemoryMax=(\d+)G$", unit, re.MULTILINE)
    (alert,) = (rule for rule in RULES if rule["alert"] == "SmsbridgeMemory")
    (panel,) = (panel for panel in DASHBOARD["panels"] if panel["title"] == "Memory")
    for words in (alert["annotations"]["description"], panel["description"]):
        assert re.findall(r"(\d+ [MG]B)", words) == [f"{limit} GB"]


def test_an_alert_names_only_events_and_labels_that_there_are():
    events = {event.value for event in Event}
    for rule in RULES:
        told = f"{rule['annotations']}"
        named = set(re.findall(r"\b[a-z]+_[a-z_]+\b", told)) - {"smsbridge"}
        assert named <= events, rule["alert"]
        kept = {label.strip() for by in re.findall(r"by \(([^)]*)\)", rule["expr"]) for label in by.split(",")}
        assert set(re.findall(r"\$labels\.(\w+)", told)) <= kept


@pytest.mark.parametrize(
    "metric",
    ["oldest_waiting_seconds", "stream_up", "store_failing", "holds", "loops_late", "callbacks_total", "alerts"],
)
def test_what_needs_somebody_raises_an_alert(metric):
    assert any(f"smsbridge_{metric}" in named_in(rule["expr"]) for rule in RULES)
