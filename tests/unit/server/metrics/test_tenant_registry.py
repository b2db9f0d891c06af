"""Metrics of several tenants on one page."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_open_metrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from portrait.server.metrics.tenant_registry import TenantRegistry


def test_a_family_of_several_is_shown_once_with_the_samples_of_all() -> None:
    process, shoes, books = CollectorRegistry(), CollectorRegistry(), CollectorRegistry()
    Gauge("memory_bytes", "Memory.", registry=process).set(7)
    for place, registry in enumerate((process, shoes, books)):
        Counter("calls", "Calls.", ["method"], registry=registry).labels("Get").inc(place + 1)
    Histogram("seconds", "Time.", buckets=[1.0], registry=shoes).observe(0.5, {"trace_id": "abc"})
    whole = TenantRegistry(process, {"shoes": shoes, "books": books})
    lines = generate_latest(whole).decode().splitlines()
    assert lines.count("# TYPE calls_total counter") == 1
    for line in (
        "memory_bytes 7.0",
        'calls_total{method="Get"} 1.0',
        'calls_total{method="Get",tenant="shoes"} 2.0',
        'calls_total{method="Get",tenant="books"} 3.0',
        'seconds_bucket{le="1.0",tenant="shoes"} 1.0',
    ):
        assert line in lines
    families = list(text_string_to_metric_families(generate_open_metrics(whole).decode()))
    [bucket] = [each for family in families for each in family.samples if each.exemplar]
    assert (bucket.labels["tenant"], bucket.exemplar.labels) == ("shoes", {"trace_id": "abc"})
