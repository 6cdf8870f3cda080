"""The figures as a picture: a panel for each, a bar for each proxy, its quartiles as a line across the bar's end."""

from html import escape

from figures import TITLES, short

PANELS = {
    "32 B": "32 B and their echo, µs of CPU",
    "1 KiB": "1 KiB and its echo, µs of CPU",
    "16 KiB": "16 KiB and their echo, µs of CPU",
    "256 KiB": "256 KiB and their echo, µs of CPU",
    "churn": "A connection's life, µs of CPU",
    "idle": "An idle connection, KiB",
}
COLUMNS, WIDTH, LABELS, BARS, LINE, HEAD, GAP = 2, 430, 136, 220, 20, 34, 24
COLOURS = {"wsgate": "#1f6feb", "relay": "#8c959f"}
STYLE = (
    "text { font: 12px system-ui, sans-serif; fill: #24292f } .title { font-weight: 600; font-size: 13px } "
    ".own { font-weight: 600 } .value { fill: #57606a } .spread { stroke: #24292f; stroke-width: 1.2; opacity: .55 }"
)


def drawn(found):
    panels = [column for column in PANELS if column in found.columns]
    rows = max(len(bars(found, column)) for column in panels)
    height = HEAD + rows * LINE + GAP
    down = -(-len(panels) // COLUMNS)
    size = (COLUMNS * WIDTH + GAP, down * height + GAP)
    body = [panel(found, column, GAP + at % COLUMNS * WIDTH, GAP + at // COLUMNS * height) for at, column in enumerate(panels)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}" width="{size[0]}" height="{size[1]}" role="img" '
        f'aria-label="What messages and connections cost each proxy">\n<style>{STYLE}</style>\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n' + "".join(body) + "</svg>\n"
    )


def bars(found, column):
    values = {row: found.value(column, row) for row in found.rows}
    return {row: value for row, value in values.items() if value}


def panel(found, column, x, y):
    there = bars(found, column)
    most = max(value.high for value in there.values())
    parts = [f'<text class="title" x="{x}" y="{y + 14}">{PANELS[column]}</text>\n']
    for at, (row, value) in enumerate(there.items()):
        top, left = y + HEAD - 8 + at * LINE, x + LABELS
        length, low, high = (BARS * part / most for part in (value.median, value.low, value.high))
        own = ' class="own"' if row.startswith("wsgate") else ""
        colour = COLOURS.get(row.partition(",")[0], "#b6c2cf")
        parts.append(
            f'<text{own} x="{left - 8}" y="{top + 11}" text-anchor="end">{escape(TITLES.get(row, row))}</text>'
            f'<rect x="{left}" y="{top}" width="{max(length, 1):.1f}" height="14" rx="2" fill="{colour}"/>'
            f'<line class="spread" x1="{left + low:.1f}" x2="{left + high:.1f}" y1="{top + 7}" y2="{top + 7}"/>'
            f'<text class="value" x="{left + max(length, high) + 6:.1f}" y="{top + 11}">{short(value.median)}</text>\n'
        )
    return "".join(parts)
