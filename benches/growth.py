"""Measures how the cost of a step grows with each of its sizes, by `orthant bench`, one size at a time.

    cargo build --release
    python benches/growth.py --orthant target/release/orthant

Prints a table in Markdown. A row has seconds of sampling, of the update and of a step of G2RL, peak memory, and the exponents with which
seconds and memory have grown since the row before: 1 is in proportion, 0 is not at all.

steps      the time of a step and the memory of the process early and late in one run of the bundled model
"""

import argparse
import json
import math
import statistics
import subprocess
import tempfile
from pathlib import Path

BASE = dict(hidden=256, layers=6, heads=8, kv_heads=4, head_dim=32, intermediate=768, vocab=512, prompts=4, group=16, prompt_len=32,
            new_tokens=64)

SERIES = {
    "group": ("group", [8, 16, 32, 64, 128], {}),
    "length": ("new_tokens", [64, 256, 1024, 4064], dict(prompts=1, group=4)),
    "prompt": ("prompt_len", [32, 128, 512, 2048], dict(prompts=2, group=8)),
    "vocabulary": ("vocab", [512, 8192, 49152, 151936], {}),
    "layers": ("layers", [3, 6, 12, 24], {}),
    "width": ("hidden", [128, 256, 512], {}),
}


def bench(orthant, sizes, repeat):
    options = [text for name, value in sizes.items() for text in ("--" + name.replace("_", "-"), str(value))]
    command = [orthant, "bench", "--json", "--repeat", str(repeat), *options]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def exponent(before, after, name):
    (first, old), (second, new) = before, after
    return f"{math.log(new[name] / old[name]) / math.log(second / first):.2f}"


def series(orthant, title, repeat):
    name, values, rest = SERIES[title]
    sizes = {**BASE, **rest}
    print(f"\n{title}: " + ", ".join(f"{key} {value}" for key, value in sizes.items() if key != name) + "\n")
    print(f"| {name} | Sampling, s | Update, s | Step of G2RL, s | Peak, MiB | Exponents |\n|---|---|---|---|---|---|")
    before = None
    for value in values:
        own = {name: value}
        if name == "hidden":
            own |= dict(heads=value // 32, kv_heads=value // 64, intermediate=3 * value)
        found = bench(orthant, {**sizes, **own}, repeat)
        columns = ["sample_s", "update_s", "step_g2rl_s", "peak_memory_mib"]
        grown = ", ".join(exponent(before, (value, found), column) for column in columns) if before else ""
        print(f"| {value:,} | {found['sample_s']:.3f} | {found['update_s']:.3f} | {found['step_g2rl_s']:.3f} | "
              f"{found['peak_memory_mib']:.0f} | {grown} |", flush=True)
        before = (value, found)


def steps(orthant, count):
    settings = ["rollout.prompts_per_step=2", "rollout.group_size=4", "rollout.max_new_tokens=16", f"stop.steps={count}",
                "evaluations=[]", "fidelity=None"]
    with tempfile.TemporaryDirectory() as folder:
        command = [orthant, "run", "experiments/quickstart.ron", "--headless", "--out", folder]
        subprocess.run(command + [text for setting in settings for text in ("--set", setting)], check=True, capture_output=True)
        lines = next(Path(folder).glob("*/metrics.jsonl")).read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == count
    print("\nsteps: the bundled model, 2 prompts x 4 responses of at most 16 tokens\n")
    print("| Steps | Median time of a step, ms | Resident, MiB |\n|---|---|---|")
    part = count // 5
    for first in range(0, count, part):
        chosen = rows[first:first + part]
        seconds = statistics.median(row["metrics"]["time/step_s"] if "metrics" in row else row["time/step_s"] for row in chosen)
        last = chosen[-1].get("metrics", chosen[-1])
        print(f"| {first + 1:,} to {first + len(chosen):,} | {1e3 * seconds:.1f} | {last['memory/resident_mib']:.0f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orthant", required=True, help="the program to measure")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--only", choices=[*SERIES, "steps"], action="append", help="measure this alone; can be given again")
    args = parser.parse_args()
    for title in SERIES:
        if not args.only or title in args.only:
            series(args.orthant, title, args.repeat)
    if not args.only or "steps" in args.only:
        steps(args.orthant, args.steps)


if __name__ == "__main__":
    main()
