"""Draws the pictures as SVG; it runs in an environment that has matplotlib, and reads what to draw on stdin.

The same data give the same bytes: no date, no random ids. A picture is legible on a dark page and on a light one: it
has a background of its own, and follows the reader's colour scheme.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

INK, GRID, PAPER = "#24292f", "#d0d7de", "#ffffff"
# For a reader with a dark scheme; the colours of bars and curves suit both.
STYLE = (
    "<style>@media (prefers-color-scheme: dark) {"
    f' text, [style*="fill: {INK}"] {{ fill: #e6edf3 !important; }}'
    f' [style*="stroke: {INK}"] {{ stroke: #e6edf3 !important; }}'
    f' [style*="stroke: {GRID}"] {{ stroke: #3d444d !important; }}'
    f' [style*="fill: {PAPER}"] {{ fill: #0d1117 !important; }} }}</style>'
)
NOTE: Any = {"xytext": (4, 0), "textcoords": "offset points", "va": "center", "fontsize": 8}
OURS, OTHERS = ("#d1495b", "#e39aa4"), ("#4c8bbd", "#a4c4dd")
CURVES = ("#4c8bbd", "#e3a33b", "#5ba36b", "#8a63b5", "#7f8c8d", "#c77db0", "#3fa7a0", "#a0763f", "#6b7fd7", "#97a94a")


def draw(picture: dict[str, Any], folder: Path) -> None:
    """Draw one picture into a file of its name."""
    is_plane = picture["kind"] in ("curves", "lines")
    height = 4.5 if is_plane else 1.1 + 0.42 * len(picture["rows"])
    figure = Figure(figsize=(8, height), layout="constrained")
    axes = figure.subplots()
    {"curves": _curves, "lines": _lines, "bars": _bars}[picture["kind"]](axes, picture)
    axes.set_title(picture["title"], loc="left", fontsize=11)
    axes.grid(visible=True, axis="both" if is_plane else "x", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_facecolor("none")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    path = folder / f"{picture['name']}.svg"
    figure.savefig(path, format="svg", facecolor=PAPER, metadata={"Date": None, "Creator": None})
    text = path.read_text(encoding="utf-8")
    head, defs, rest = text.partition("<defs>")
    lines = (line.rstrip() for line in f"{head}{STYLE}\n {defs}{rest}".splitlines())
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _bars(axes: Any, picture: dict[str, Any]) -> None:
    rows = picture["rows"][::-1]
    names = [name for name, _ in rows]
    count = len(picture["labels"])
    is_stacked = picture.get("is_stacked", False)
    thick = 0.7 if is_stacked else 0.7 / count
    left = [0.0] * len(rows)
    for index, label in enumerate(picture["labels"]):
        shift = 0.0 if is_stacked else thick * ((count - 1) / 2 - index)
        for place, (name, spreads) in enumerate(rows):
            if not spreads[index]:
                axes.annotate("not seen", (0, place + shift), xycoords=("axes fraction", "data"), **NOTE)
                continue
            middle, least, most = spreads[index]
            axes.barh(
                place + shift,
                middle,
                height=thick,
                left=left[place],
                color=(OURS if name.startswith("lash-redis") else OTHERS)[index],
                xerr=None if is_stacked else [[middle - least], [most - middle]],
                error_kw={"ecolor": INK, "elinewidth": 1, "capsize": 2},
                label=label,
            )
            if is_stacked:
                left[place] += middle
            else:
                axes.annotate(f"{middle:,.0f}" if middle >= 10 else f"{middle:.2g}", (most, place + shift), **NOTE)
    axes.set_yticks(range(len(rows)), names)
    if picture.get("is_log"):
        _logarithmic(axes)
        axes.margins(x=0.12)
    if count > 1:
        dark, light = picture["labels"]
        axes.set_xlabel(f"dark: {dark}, light: {light}")


def _curves(axes: Any, picture: dict[str, Any]) -> None:
    colours = iter(CURVES * 2)
    for name, values in picture["curves"]:
        ours = name.startswith("lash-redis")
        axes.plot(
            values,
            range(len(values)),
            label=name,
            color=OURS[0] if ours else next(colours),
            linewidth=2.4 if ours else 1.3,
        )
    _logarithmic(axes)
    axes.set_xlabel("milliseconds")
    axes.set_ylabel("percent that took no longer")
    axes.legend(fontsize=8, frameon=False, labelcolor=INK, loc="upper left", bbox_to_anchor=(1, 1))


def _lines(axes: Any, picture: dict[str, Any]) -> None:
    for (name, values), colour in zip(picture["lines"], CURVES, strict=False):
        axes.plot(picture["at"], values, label=name, color=colour, linewidth=1.8)
    _logarithmic(axes)
    axes.set_ylim(*picture["range"])
    axes.set_xlabel(picture["across"])
    axes.set_ylabel(picture["up"])
    axes.legend(fontsize=8, frameon=False, labelcolor=INK, loc="upper left", bbox_to_anchor=(1, 1))


def _logarithmic(axes: Any) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def main() -> None:
    """Draw what stdin says into the folder that the command line names."""
    mpl.rcParams.update(
        {
            "svg.hashsalt": "lash-redis",
            "svg.fonttype": "none",
            "font.family": "sans-serif",
            "font.sans-serif": ["DejaVu Sans"],
            **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
        }
    )
    for picture in json.load(sys.stdin):
        draw(picture, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
