"""The figures as tables, on standard output and between the marks of docs/performance.md."""

import figures
import plot
from figures import TITLES
from install import PACKAGE

PAGE, PLOT = PACKAGE / "docs/performance.md", PACKAGE / "docs/performance.svg"
BEGIN, END = "<!-- figures: written by `benches/peers/run --write` -->", "<!-- end of figures -->"

HEADINGS = {"pipelined": "32 B, 16 at a time", "churn": "a connection", "idle": "idle, KiB"}


def tables(found):
    parts = [conditions(found), costs(found), ratios(found), limits(found), speed(found), growth(found), read(found)]
    return "\n\n".join(filter(None, parts))


def write(found):
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{tables(found)}\n\n{END}{rest.split(END)[1]}")
    PLOT.write_text(plot.drawn(found))


def conditions(found):
    told = found.results
    machine, noise = told["machine"], told["noise"]
    versions = ", ".join(f"{TITLES.get(name, name)} {version}" for name, version in told["versions"].items())
    tenth = " of a tenth each, which only shows that it works" if told["quick"] else ""
    trust = f": more than {figures.NOISE} %, so that the ratios are worth more than the times" if noise > figures.NOISE else ""
    return (
        f"Medians of {told['rounds']} rounds{tenth}, with {versions}, on {machine['processor']}, {machine['memory']} of memory, "
        f"{machine['system']}. {noise:.0f} % of both cores' time went to other work{trust}."
    )


def costs(found):
    rows = {row: [found.value(column, row) for column in found.columns] for row in found.rows}
    cells = {row: [figures.short(value.median) if value else "" for value in values] for row, values in rows.items()}
    return table("CPU, µs", found, cells)


def ratios(found):
    """What wsgate costs in terms of each other; too much is bold."""

    def cell(column, row):
        ratio, limit = found.ratio(column, row), limit_of(row, column)
        if not ratio:
            return ""
        return f"**{ratio}**" if limit and round(ratio.median, 2) > limit else str(ratio)

    return table("wsgate ÷", found, {row: [cell(column, row) for column in found.columns] for row in found.others()})


def limits(found):
    """What that may come to at most."""
    cells = {row: [str(limit_of(row, column) or "") for column in found.columns] for row in found.others()}
    return table("at most", found, cells)


def limit_of(row, column):
    return figures.LIMITS.get(row, {}).get(column)


def speed(found):
    rows = {row: [found.per_second(column, row) for column in found.columns] for row in found.rows}
    return table("a second", found, {row: [f"{value:,.0f}" if value else "" for value in values] for row, values in rows.items()})


def growth(found):
    if "growth" not in found.results:
        return ""
    few, many, more = found.growth()
    at = list(found.results["growth"])
    return f"wsgate ÷ relay with {at[0]}: {few}; with {at[1]}: {many}; the second ÷ the first: {more}, at most {figures.GROWTH}."


def read(found):
    if "read" not in found.results:
        return ""
    return f"Messages of 1 KiB that are read and held against a schema ÷ the same passing on: {found.read()}, at most {figures.READ}."


def table(corner, found, rows):
    """Rows and columns that have nothing are left out."""
    rows = {row: cells for row, cells in rows.items() if any(cells)}
    used = [at for at in range(len(found.columns)) if any(cells[at] for cells in rows.values())]
    if not used:
        return ""
    heads = [HEADINGS.get(found.columns[at], found.columns[at]) for at in used]
    body = [[TITLES.get(row, row), *(cells[at] for at in used)] for row, cells in rows.items()]
    lines = [[corner, *heads], ["---", *("---:" for _ in used)], *body]
    widths = [max(len(line[at]) for line in lines) for at in range(len(used) + 1)]
    return "\n".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in lines)
