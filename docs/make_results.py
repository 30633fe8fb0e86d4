"""Write docs/results.md: every table and figure, what it shows, the rule that makes it and the command behind it.

python docs/make_results.py

Made of the workflow itself: the targets and their rules are what `snakemake --summary` says of config.yaml, what they
show are the captions of the catalogue, and the commands are the rules' own.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from latent3d.plan.plan import read_plan
from latent3d.plan.targets import Targets

ROOT = Path(__file__).resolve().parents[1]
BENCHMARK = "qm9"
"""The benchmark whose targets are listed: with the sweep that config.yaml makes of `mini` it has all of them."""
LISTED = {"all": [BENCHMARK], "sweeps": {"latent_dimension": {"benchmarks": [BENCHMARK]}}}

HEAD = """# Tables and figures

Made by `python docs/make_results.py` from the workflow; change it there. `{benchmark}` is a name under `datasets` or
`benchmarks` in `config.yaml` (a dataset is by itself the benchmark of unconditional generation), `{dataset}` one under
`datasets`, `{row}` one under `rows` or `submissions`, `{t}` a training seed, `{variant}` raw or mmff.
`snakemake --cores 8 TARGET` makes one target and what it needs, `snakemake --cores 8 all` makes all.
`latent3d COMMAND --help` explains each command; the values in braces are those of the rule. What the columns mean is
in [metrics.md](metrics.md), what is in which file in [results/README.md](../results/README.md).
"""


def main() -> None:
    """Write the page."""
    (ROOT / "docs" / "results.md").write_text(page(), encoding="utf-8")


def page() -> str:
    """The page as Markdown."""
    made_by, commands, captions = rules_of_targets(), rule_commands(), target_captions()
    shown = {file: rule for file, rule in made_by.items() if re.fullmatch(r"results/[^/]+\.(csv|svg|html)", file)}
    lines = [HEAD]
    for title, start in (("Tables", "table_"), ("Figures", "fig_"), ("Everything in one page", "report")):
        lines.append(f"\n## {title}\n\n| target | what it shows | rule |\n|---|---|---|\n")
        files = sorted(file for file in shown if Path(file).name.startswith(start))
        lines += [f"| `{pattern(file)}` | {captions[file]} | `{shown[file]}` |\n" for file in files]
    lines.append("\nEvery figure is also written as `.png`.\n\n| rule | command |\n|---|---|\n")
    lines += [f"| `{rule}` | `{commands[rule]}` |\n" for rule in dict.fromkeys(shown.values())]
    lines.append(
        "\n## The files they are made of\n\nFrom raw data to measurements, all outputs of a rule by one command.\n\n"
        "| file | rule |\n|---|---|\n"
    )
    behind = {
        pattern(file, rule): rule for file, rule in made_by.items() if file not in shown and not file.endswith(".png")
    }
    lines += [f"| `{file}` | `{rule}` |\n" for file, rule in sorted(behind.items())]
    lines.append("\n| rule | command |\n|---|---|\n")
    lines += [f"| `{rule}` | `{commands[rule]}` |\n" for rule in sorted(set(behind.values()))]
    return "".join(lines)


def rules_of_targets() -> dict[str, str]:
    """The rule of every file that `all` makes of one benchmark."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "snakemake", "-s", ROOT / "Snakefile", "--summary", "--config"]
        settings = [f"{key}={json.dumps(value)}" for key, value in LISTED.items()]
        environment = {**os.environ, "XDG_CACHE_HOME": folder}
        done = subprocess.run([*command, *settings], cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"snakemake --summary failed:\n{done.stderr}")
    header, *lines = (line.split("\t") for line in done.stdout.splitlines())
    file, rule = header.index("output_file"), header.index("rule")
    return {line[file]: line[rule] for line in lines}


def rule_commands() -> dict[str, str]:
    """The shell command of every rule, its values in braces, without logging."""
    commands = {}
    for file in sorted((ROOT / "workflow" / "rules").glob("*.smk")):
        text = file.read_text()
        shared = {
            name: "".join(re.findall(r"\"(.*)\"", value))
            for name, value in re.findall(r"(?m)^([A-Z]+) = \(?\n?((?:\s*f?\".*\"\n)+)", text)
        }
        for part in re.split(r"(?m)^(?= *rule\b)", text):
            found = re.search(r"rule (\w+):", part)
            shell = re.search(r"\bshell:\n((?:\s+f?\".*\"\n?)+)", part)
            if found and shell:
                command = "".join(re.findall(r"\"(.*)\"", shell[1]))
                for name, value in shared.items():
                    command = command.replace(f"{{{name}}}", value)
                command = re.sub(r" 2>&1.*| \| tee .*", "", command.replace("{{", "{").replace("}}", "}"))
                commands[found[1]] = re.sub(r"\{(?:\w+\.)?(\w+)(?::q)?\}", r"{\1}", command).replace("|", "\\|")
    return commands


def target_captions() -> dict[str, str]:
    """What every target shows, as Snakemake's own report says it."""
    shipped = yaml.safe_load((ROOT / "config.yaml").read_text())
    sweeps = {**shipped["sweeps"], **{k: {**shipped["sweeps"][k], **v} for k, v in LISTED["sweeps"].items()}}
    targets = Targets(read_plan({**shipped, **LISTED, "sweeps": sweeps}, ROOT))
    captions = {"results/report.html": (ROOT / "workflow" / "report" / "report.rst").read_text().strip()}
    for file in targets.files(BENCHMARK):
        kind, name = re.fullmatch(rf"(table|fig)_?(.*?)_?{BENCHMARK}", Path(file).stem).groups()
        entry = targets.table(BENCHMARK, name or None) if kind == "table" else targets.figure(BENCHMARK, name)
        captions[file] = targets.caption("the benchmark", entry, "" if kind == "table" else name)
    return captions


def pattern(file: str, rule: str = "") -> str:
    """A file's name with wildcards for benchmark or dataset, row, stage, seed and variant."""
    data = {"prepare", "reference", "energy_reference", "train", "reconstruct", "interpolate"}
    file = re.sub(rf"_{BENCHMARK}\.", "_{benchmark}.", file)
    file = re.sub(rf"^results/{BENCHMARK}/", f"results/{{{'dataset' if rule in data else 'benchmark'}}}/", file)
    file = re.sub(r"\}/[^/]+/train\d+/", "}/{row}/train{t}/", file)
    variant = {"sample": "raw", "relax": "mmff"}.get(rule, "{variant}")
    file = re.sub(r"(train\{t\})/(?:raw|mmff)/", rf"\1/{variant}/", file)
    return re.sub(r"(train\{t\})/\w+(\.safetensors|\.run\.json|\.log\.csv)", r"\1/{stage}\2", file)


if __name__ == "__main__":
    main()
