"""What a run of the benchmark has found: flat keys, SI units, one table and one JSON file."""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile of some values; they need not be sorted."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


class Figures:
    """The figures in the order in which they were found. A key ends in its unit; a ratio has none."""

    def __init__(self) -> None:
        self._values: dict[str, float] = {}

    def __getitem__(self, key: str) -> float:
        return self._values[key]

    def put(self, key: str, value: float) -> None:
        self._values[key] = value
        print(f"  {key:<58}{shown(key, value):>16}", flush=True)

    def put_median(self, key: str, values: Sequence[float]) -> None:
        self.put(key, median(values))

    def put_latency(self, key: str, values: Sequence[float]) -> None:
        """p50 and p99 of some seconds."""
        self.put(f"{key}_p50_seconds", percentile(values, 50))
        self.put(f"{key}_p99_seconds", percentile(values, 99))

    def write(self, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        rounded = {key: float(f"{value:.4g}") for key, value in self._values.items()}
        path.write_text(json.dumps(rounded, indent=2) + "\n")


def shown(key: str, value: float) -> str:
    """A value as the table has it."""
    if key.endswith("_per_second"):
        return f"{value:,.0f} /s"
    if key.endswith("_seconds"):
        return f"{value * 1e6:,.0f} us" if value < 0.001 else f"{value * 1e3:,.2f} ms"
    if key.endswith("_bytes"):
        return f"{value / 1e6:,.1f} MB" if value >= 1e6 else f"{value:,.0f} B"
    return f"{value:,.3f}" if value != int(value) else f"{value:,.0f}"
