"""The plot of ``make bench-million``: what a change costs to match, against how many subscriptions there are."""
import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

COLOURS = {"SQLite": "tab:blue", "PostgreSQL": "tab:orange"}


def draw(found, path):
    """:param found: ``{"SQLite": {1000: {"0 matching": {"batch": ms, …}, "scan": ms or absent}, …}, …}``"""
    figure, axes = pyplot.subplots(figsize=(7, 4.2))
    scans = {}
    for name, by_size in found.items():
        sizes = sorted(by_size)
        for kind, style in (("0 matching", "-o"), ("3 matching", "--s")):
            axes.plot(sizes, [by_size[size][kind]["batch"] for size in sizes], style, color=COLOURS[name],
                      label=f"{name}, {kind}")
        scans |= {size: by_size[size]["scan"] for size in sizes if "scan" in by_size[size]}
    axes.plot(*zip(*sorted(scans.items())), ":^", color="tab:gray", label="linear scan in memory")
    axes.set(xscale="log", yscale="log", xlabel="subscriptions", ylabel="ms per change, in batches")
    axes.grid(True, which="major", alpha=0.3)
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
