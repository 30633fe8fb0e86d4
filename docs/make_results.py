"""Write docs/results.md: every table and figure, what it shows, the rule that makes it and the command behind it.

python docs/make_results.py

Made of the workflow itself: the targets and their rules are what `snakemake --summary` says of config.yaml, what they
show are the captions in workflow/report/, and the commands are the rules' own.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import jinja2

ROOT = Path(__file__).resolve().parents[1]
DATASET = "qm9"
"""The dataset whose targets are listed: with the sweep that config.yaml makes of `mini` it has all of them."""

HEAD = """# Tables and figures

Made by `python docs/make_results.py` from the workflow; change it there. `{dataset}` is a name under `datasets` in
`config.yaml`, `{row}` one under `rows` or `submissions`, `{t}` a training seed, `{s}` a sampling seed, `{geometry}` raw
or mmff. `snakemake --cores 8 TARGET` makes one target and what it needs, `snakemake --cores 8 all` makes all.
`latent3d COMMAND --help` explains each command; the values in braces are those of the rule. What the columns mean is
in [metrics.md](metrics.md), what is in which file in [results/README.md](../results/README.md).
"""


def main() -> None:
    """Write the page."""
    (ROOT / "docs" / "results.md").write_text(page(), encoding="utf-8")


def page() -> str:
    """The page as Markdown."""
    made_by, commands = rules_of_targets(), rule_commands()
    shown = {file: rule for file, rule in made_by.items() if re.fullmatch(r"results/[^/]+\.(csv|svg|html)", file)}
    lines = [HEAD]
    for title, start in (("Tables", "table_"), ("Figures", "fig_"), ("Everything in one page", "report")):
        lines.append(f"\n## {title}\n\n| target | what it shows | rule |\n|---|---|---|\n")
        files = sorted(file for file in shown if Path(file).name.startswith(start))
        lines += [f"| `{pattern(file)}` | {caption(file, shown[file])} | `{shown[file]}` |\n" for file in files]
    lines.append("\nEvery figure is also written as `.png`.\n\n| rule | command |\n|---|---|\n")
    lines += [f"| `{rule}` | `{commands[rule]}` |\n" for rule in dict.fromkeys(shown.values())]
    lines.append(
        "\n## The files they are made of\n\nFrom raw data to measurements, all outputs of a rule by one command.\n\n"
        "| file | rule |\n|---|---|\n"
    )
    behind = {
        pattern(file).replace("{geometry}", {"sample": "raw", "relax": "mmff"}.get(rule, "{geometry}")): rule
        for file, rule in made_by.items()
        if file not in shown and not file.endswith(".png")
    }
    lines += [f"| `{file}` | `{rule}` |\n" for file, rule in sorted(behind.items())]
    lines.append("\n| rule | command |\n|---|---|\n")
    lines += [f"| `{rule}` | `{commands[rule]}` |\n" for rule in sorted(set(behind.values()))]
    return "".join(lines)


def rules_of_targets() -> dict[str, str]:
    """The rule of every file that `all` makes of one dataset, without the labels of rules that serve groups of rows."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "-s",
            ROOT / "Snakefile",
            "--summary",
            "--config",
            f"all=[{DATASET}]",
            f"sweeps={{latent_dimension: {{datasets: [{DATASET}]}}}}",
        ]
        environment = {**os.environ, "XDG_CACHE_HOME": folder}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"snakemake --summary failed:\n{done.stderr}")
    header, *lines = (line.split("\t") for line in done.stdout.splitlines())
    file, rule = header.index("output_file"), header.index("rule")
    return {line[file]: re.sub(rf"_{DATASET}_.*", "", line[rule]) for line in lines}


def rule_commands() -> dict[str, str]:
    """The shell command of every rule, its values in braces, without logging."""
    commands = {}
    for file in sorted((ROOT / "workflow" / "rules").glob("*.smk")):
        name = ""
        for part in re.split(r"(?m)^(?= *rule\b)", file.read_text()):
            found = re.search(r"rule (\w+):|name:\s+f\"(\w+)_\{LABEL\}\"", part)
            shell = re.search(r"\bshell:\n((?:\s+f?\".*\"\n?)+)", part)
            if found and shell:
                name = found[1] or found[2]
                text = "".join(re.findall(r"\"(.*)\"", shell[1]))
                text = re.sub(r" 2>&1.*| \| tee .*", "", text)
                commands[name] = re.sub(r"\{(?:\w+\.)?(\w+)(?::q)?\}", r"{\1}", text).replace("|", "\\|")
    return commands


def caption(file: str, rule: str) -> str:
    """What a target shows, as Snakemake's own report says it."""
    name = re.sub(rf"^(table|fig)_|_?{DATASET}$", "", Path(file).stem)
    wildcards = SimpleNamespace(dataset="the dataset", table=name, figure=name)
    text = jinja2.Template((ROOT / "workflow" / "report" / f"{rule}.rst").read_text())
    return " ".join(text.render(snakemake=SimpleNamespace(wildcards=wildcards)).split())


def pattern(file: str) -> str:
    """A file's name with wildcards for dataset, row, stage, seeds and geometry."""
    file = re.sub(rf"_{DATASET}\.", "_{dataset}.", file)
    file = re.sub(rf"^results/{DATASET}/", "results/{dataset}/", file)
    file = re.sub(r"\}/[^/]+/train\d+/", "}/{row}/train{t}/", file)
    file = re.sub(r"/sample\d+/(raw|mmff)/", "/sample{s}/{geometry}/", file)
    return re.sub(r"(train\{t\})/\w+(\.safetensors|\.run\.json|\.log\.csv)", r"\1/{stage}\2", file)


if __name__ == "__main__":
    main()
