"""The table in the probe's README."""

import re

from running import ROOT

README = ROOT / "crates" / "linger-probe" / "README.md"
BEGIN = "<!-- begin: rendered by tests/zoo/run.py -->"
END = "<!-- end -->"
LOSES = "loses-responses"


def losing(rows, loses):
    """The failing rows, those that lose responses or the others. A row that fails plain and over TLS is named once."""
    chosen = [row for row in rows if row["lost"] and (row["severity"].replace("_", "-") == LOSES) == loses]
    told = []
    for name in dict.fromkeys(row["row"] for row in chosen):
        where = {row["tls"] for row in chosen if row["row"] == name}
        some = any(row["lost"] < row["tries"] for row in chosen if row["row"] == name)
        over = {frozenset([True]): "TLS", frozenset([False]): "plain"}.get(frozenset(where))
        tls_alone = name.startswith(("tls.", "alert."))
        notes = [note for note in ("some tries" if some else "", over if not tls_alone else "") if note]
        told.append(name + (f" ({', '.join(notes)})" if notes else ""))
    return told


def line(result):
    rows = result["rows"]
    clients = ", ".join(dict.fromkeys(row["client"] for row in rows if row["lost"])) or "all clients"
    agree = f"{sum(row['agrees'] for row in rows)} of {len(rows)}"
    cells = [
        result["name"],
        result["version"],
        ", ".join(losing(rows, True)) or "nothing",
        ", ".join(losing(rows, False)) or "–",
        clients,
        agree,
    ]
    return "| " + " | ".join(cells) + " |"


def render(results, gaps):
    dates = " to ".join(sorted({edge([one["date"] for one in results]) for edge in (min, max)}))
    rows = [row for result in results for row in result["rows"]]
    disagreements = [
        f"{result['name']} {row['row']}" for result in results for row in result["rows"] if not row["agrees"]
    ]
    lines = [
        BEGIN,
        f"{dates}: {len(results)} servers, {len(rows)} rows compared, {len(disagreements)} disagreements.",
        "",
        "| Server | Version | Loses responses | Other failing rows | Confirmed by | Rows that agree |",
        "|---|---|---|---|---|---|",
        *(line(result) for result in results),
        "",
    ]
    if disagreements:
        lines += [f"Disagreements: {', '.join(disagreements)}.", ""]
    if gaps:
        lines += ["Not judged: " + "; ".join(f"{gap['name']} ({gap['why']})" for gap in gaps) + ".", ""]
    return "\n".join([*lines, END])


def write(results, gaps):
    text = README.read_text()
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"{README} has no {BEGIN}")
    README.write_text(pattern.sub(lambda _: render(results, gaps), text))
