"""Figures out of samples: medians with their quartiles, ratios of samples of one round, and what a ratio may come to."""

from statistics import median, quantiles

# What wsgate's ratio to each may come to at most.
LIMITS = {
    "relay": {"32 B": 1.15, "1 KiB": 1.15, "16 KiB": 1.15, "256 KiB": 1.1, "churn": 1.3},
    "nginx": {"32 B": 1.05, "1 KiB": 1.05, "16 KiB": 0.35, "256 KiB": 0.35, "churn": 1.1, "idle": 0.15},
    "nginx-64k": {"16 KiB": 1.1, "256 KiB": 0.85},
    "haproxy": {"32 B": 0.95, "1 KiB": 0.95, "16 KiB": 0.6, "256 KiB": 0.5, "churn": 0.9, "idle": 0.6},
    "envoy": {"32 B": 0.65, "1 KiB": 0.65, "16 KiB": 0.6, "256 KiB": 0.8, "churn": 0.45, "idle": 0.08},
}
READ, GROWTH = 1.6, 1.15

# Percent of both cores' time that may go to other work before times say little.
NOISE = 5

# How rows are called where people read them.
TITLES = {
    "relay": "byte relay",
    "nginx-64k": "nginx, 64 KiB",
    "haproxy": "HAProxy",
    "haproxy-64k": "HAProxy, 64 KiB",
    "envoy": "Envoy",
}


class Spread:
    """A median, and the quartiles around it."""

    def __init__(self, samples):
        samples = list(samples)
        self.median = median(samples)
        self.low, _, self.high = quantiles(samples, n=4, method="inclusive") if len(samples) > 1 else samples * 3

    def __str__(self):
        return f"{self.median:.2f} ({self.low:.2f}–{self.high:.2f})"


def short(value):
    """Three digits of a number, or all before its point."""
    return f"{value:,.{2 if value < 10 else 1 if value < 100 else 0}f}"


class Figures:
    """What a run has found, by column (a measure, or `idle`) and row (a proxy)."""

    def __init__(self, results):
        self.results = results
        messages = results.get("messages", {})
        self.columns = [*messages, *(["idle"] if "idle" in results else [])]
        self.cost = {name: {row: [one["cpu"] for one in told] for row, told in rows.items()} for name, rows in messages.items()}
        self.cost["idle"] = results.get("idle", {})
        rows = list(dict.fromkeys(row for column in self.columns for row in self.cost[column]))
        # What is only a variant of another stands behind it.
        self.rows = sorted(rows, key=lambda row: rows.index(row.partition(",")[0]))

    def others(self):
        """Whom wsgate is held against."""
        return [row for row in self.rows if row != "direct" and not row.startswith("wsgate")]

    def value(self, column, row):
        """µs of a message or a connection, KiB of an idle one; none where it has none."""
        samples = self.cost[column].get(row)
        return Spread(samples) if samples and any(samples) else None

    def ratio(self, column, row):
        """wsgate's cost in terms of another's, round by round. The byte relay keeps nothing of a connection to speak of."""
        mine, others = self.cost[column].get("wsgate"), self.cost[column].get(row)
        if not mine or not others or (row, column) == ("relay", "idle"):
            return None
        return Spread(a / b for a, b in zip(mine, others))

    def per_second(self, column, row):
        samples = self.results.get("messages", {}).get(column, {}).get(row)
        return samples and 1e6 / median(one["clock"] for one in samples)

    def growth(self):
        """The ratio to the byte relay with few and with many connections, and by how much the second is more."""
        few, many = (
            [mine["cpu"] / relay["cpu"] for relay, mine in zip(*samples.values())] for samples in self.results["growth"].values()
        )
        return Spread(few), Spread(many), Spread(b / a for a, b in zip(few, many))

    def read(self):
        forward, read = self.results["read"]["forward"], self.results["read"]["read"]
        return Spread(b["cpu"] / a["cpu"] for a, b in zip(forward, read))
