# SPDX-License-Identifier: MIT
"""The report: tables in Markdown, aims with what was measured, and plots as small SVG files."""
import os
import re
import statistics
import subprocess

from client import ROOT


def median(values):
    return statistics.median(values)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def number(value):
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def spread(values):
    return f"{median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def first_line(*command):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.stdout.splitlines()[0]
    except (OSError, IndexError):
        return "none"


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    redis = re.search(r"v=(\S+)", first_line("redis-server", "--version"))
    revision = first_line("git", "-C", ROOT, "describe", "--always", "--dirty")
    return (f"{os.cpu_count()} cores, {model.group(1) if model else 'unknown'}, load before {os.getloadavg()[0]:.1f}; "
            f"{first_line('uname', '-sr')}, Redis {redis.group(1) if redis else 'none'}, {first_line('gcc', '--version')}; "
            f"revision {revision}")


class Report:
    """Printed as it comes, and kept in `folder`."""

    def __init__(self, heading, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.lines, self.aims, self.missing = [heading, ""], [], {}

    def say(self, text=""):
        print(text, flush=True)
        self.lines.append(text)

    def table(self, heading, columns, rows):
        """Columns that are empty are left out."""
        filled = [at for at in range(len(columns)) if not rows or any(row[at] not in (None, "") for row in rows)]
        columns, rows = [columns[at] for at in filled], [[row[at] for at in filled] for row in rows]
        self.say(f"\n### {heading}\n\n| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
        for row in rows:
            self.say("| " + " | ".join(number(cell) for cell in row) + " |")

    def aim(self, what, measured, sign, bound, ours=None, theirs=None):
        """`sign`: "<=" or ">="; `measured` is a ratio if it has two sides."""
        reached = measured <= bound if sign == "<=" else measured >= bound
        self.aims.append((what, number(ours), number(theirs), number(measured), sign.replace("<=", "≤").replace(">=", "≥") + " " + number(bound),
                          "yes" if reached else "**no**"))
        return reached

    def miss(self, peer, why):
        self.missing[peer] = why

    def plot(self, name, x_label, y_label, series, log_x=False, log_y=True):
        """`series`: (label, xs, ys)."""
        try:
            import matplotlib
        except ImportError:
            self.miss("plots", "python3-matplotlib is not installed")
            return
        matplotlib.use("svg")
        matplotlib.rcParams["svg.fonttype"] = "none"
        matplotlib.rcParams["svg.hashsalt"] = "engaged"
        from matplotlib import pyplot
        figure, axes = pyplot.subplots(figsize=(6, 3.4), layout="constrained")
        for label, xs, ys in series:
            axes.plot(xs, ys, marker=".", linewidth=1, label=label)
        axes.set(xlabel=x_label, ylabel=y_label, xscale="log" if log_x else "linear",
                 yscale="log" if log_y else "linear")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
        figure.savefig(f"{self.folder}/{name}.svg", metadata={"Date": None})
        pyplot.close(figure)
        self.say(f"\n![{name}](report/{name}.svg)")

    def end(self):
        if self.aims:
            self.table("Aims", ["what", "ours", "peer's", "ratio, or figure", "aim", "reached"], self.aims)
        for peer, why in self.missing.items():
            self.say(f"\nMissing: {peer}: {why} (`make loadtest-deps`)")
        with open(f"{self.folder}/report.md", "w", encoding="utf-8") as file:
            file.write("\n".join(self.lines) + "\n")
        return all(aim[-1] == "yes" for aim in self.aims)
