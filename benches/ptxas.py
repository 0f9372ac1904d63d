"""What the CUDA kernels need of a GPU, and how fast they could be at best, without a GPU.

    python benches/ptxas.py                          prints the tables
    python benches/ptxas.py --write docs/cuda-kernels.md   puts them between the marks in that page
    python benches/ptxas.py attention rms_norm       only these sources, decode_attention among those that can be asked for

Needs nvcc of the CUDA toolkit, in CUDA_HOME or PATH, and a C++ compiler. Every source is compiled for bf16 and for each
architecture; ptxas says registers, shared memory and spills. From these follows how many warps a multiprocessor holds.

Bytes and operations of a call are counted here by formulas: every tensor that a kernel reads or writes, once. The limit is the
longer of both by the GPU's bandwidth and its rate of bf16 products. The last column is what the plain operations of the reference
would read and write, one operation after another; gradients of candle's graph start as zeros besides, which is not counted.
"""

import argparse
import os
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SOURCES = Path(__file__).resolve().parent.parent / "crates/kernels/src/cuda"

ARCHITECTURES = ["sm_80", "sm_90"]

# Of a multiprocessor: shared memory in bytes, of which a block takes one KiB beside its own.
SHARED = {"sm_80": 164 << 10, "sm_90": 228 << 10}
WARPS, BLOCKS, REGISTERS = 64, 32, 65536

# Bytes and bf16 operations per second.
H200, H100, TENSOR = 4.8e12, 3.35e12, 989e12

# The work of a table: a micro-batch of one prompt and its responses, and rows that are sampled.
PROMPT, RESPONSES, RESPONSE, ROWS = 256, 63, 256, 256
TOKENS, PREDICTED = PROMPT + RESPONSES * RESPONSE, RESPONSES * RESPONSE

HEAD, KEYS_PER_BLOCK, QUERIES_PER_CHUNK, SAMPLER_TILE = 128, 64, 1024, 512

MODELS = {
    "Qwen3-1.7B": dict(d=2048, mlp=6144, layers=28, heads=16, kv=8, vocab=151936),
    "Qwen3-4B": dict(d=2560, mlp=9728, layers=36, heads=32, kv=8, vocab=151936),
}

# What the decode kernels need is told elsewhere.
LEFT_OUT = {"decode_attention"}


def layer_elements(m):
    return m["d"] * HEAD * (2 * m["heads"] + 2 * m["kv"]) + 3 * m["d"] * m["mlp"]


def parameters(m):
    return m["vocab"] * m["d"] + m["layers"] * layer_elements(m)


def per_element(*steps):
    """Bytes per element of operations that read and write so many bytes each."""
    return sum(read + written for read, written in steps)


# to f32, square, mean, division, to bf16, product with the weight
NORM = per_element((2, 4), (4, 4), (4, 0), (4, 4), (4, 2), (2, 2))
# of the product, both factors; to f32; of the division, numerator and denominator; of the square; their sum; to bf16
NORM_BACK = per_element((2, 2), (4, 2), (2, 0), (2, 4), (4, 4), (8, 4), (4, 4), (8, 4), (4, 0), (8, 4), (4, 4), (8, 4), (4, 2))
# Of a score: product, scale, to f32, mask, maximum, difference, exponential, sum, division, to bf16, product.
SCORE = per_element((0, 2), (2, 2), (2, 4), (4, 4), (4, 0), (4, 4), (4, 4), (4, 0), (4, 4), (4, 2), (2, 0))
# of the last product, both factors; to f32; of the division; of the exponential, the sum and the difference; to bf16; scale; products
SCORE_BACK = per_element((2, 0), (0, 2), (2, 4), (4, 4), (8, 4), (4, 4), (8, 4), (4, 0), (8, 4), (8, 4), (8, 4), (4, 0), (4, 2), (2, 2),
                         (2, 0), (2, 0))
# product, to f32, temperature, maximum, difference, exponential, sum, difference; exponential, product and sum of the entropy
LOGIT = per_element((0, 2), (2, 4), (4, 4), (4, 0), (4, 4), (4, 4), (4, 0), (4, 4), (4, 4), (8, 4), (4, 0))
LOGIT_BACK = per_element((8, 4), (8, 4), (8, 4), (8, 4), (8, 0), (8, 4), (8, 4), (4, 4), (4, 2))
# Both moments, their corrections, root, quotient, rate, decay and difference, to bf16.
ADAMW = per_element((4, 4), (4, 4), (8, 4), (4, 4), (4, 4), (4, 4), (8, 4), (4, 4), (4, 4), (4, 4), (4, 4), (8, 4), (4, 4), (4, 4), (8, 4), (4, 2))
# z = g (1 + c g^2) with its scale, tanh and product
GEGLU = per_element((2, 2), (2, 2), (2, 2), (4, 2), (2, 2), (2, 2), (2, 2), (2, 2), (4, 2), (4, 2))


def work(m):
    """By kernel: threads of a block, what one call is, bytes, operations, bytes of the plain operations."""
    d, heads, kv = m["d"], m["heads"], m["kv"]
    q, k = TOKENS * heads * HEAD, TOKENS * kv * HEAD
    hidden, inner = TOKENS * d, TOKENS * m["mlp"]
    logits, sampled = PREDICTED * m["vocab"], ROWS * m["vocab"]
    # Queries and keys that see each other.
    pairs = PROMPT * (PROMPT + 1) // 2 + RESPONSES * (RESPONSE * PROMPT + RESPONSE * (RESPONSE + 1) // 2)
    product = 2 * HEAD * heads * pairs
    slots = -(-TOKENS // QUERIES_PER_CHUNK) * -(-PROMPT // KEYS_PER_BLOCK)
    partials = 8 * slots * KEYS_PER_BLOCK * kv * HEAD
    # Of padded sequences.
    longest, sequences = PROMPT + RESPONSE, RESPONSES + 1
    scores, padded = sequences * heads * longest**2, sequences * longest * HEAD
    moves = padded * (20 * heads + 2 * (8 * kv + 10 * heads))
    return {
        "attention_forward": (128, "a layer", 2 * (2 * q + 2 * k) + 4 * TOKENS * heads, 2 * product, SCORE * scores + moves),
        "attention_delta": (128, "a layer", 4 * q + 4 * TOKENS * heads, None, None),
        "attention_backward_queries": (128, "a layer", 2 * (3 * q + 2 * k) + 8 * TOKENS * heads, 3 * product, None),
        "attention_backward_keys": (128, "a layer; at the right: all of backward", 2 * (2 * q + 4 * k) + 8 * TOKENS * heads + partials,
                                    4 * product, SCORE_BACK * scores + 2 * moves),
        "attention_sum": (256, "a layer", partials + 4 * PROMPT * kv * HEAD, None, None),
        "rms_norm_forward": (128, "the hidden states", 4 * hidden, None, NORM * hidden),
        "rms_norm_backward_input": (128, "the hidden states", 6 * hidden, None, NORM_BACK * hidden),
        "rms_norm_backward_weight": (256, "the hidden states", 4 * hidden, None, None),
        "rms_norm_sum_chunks": (128, "the hidden states", 4 * TOKENS // 256 * d, None, None),
        "rotary_turn": (256, "a layer's queries", 4 * q, None, per_element(*[(1, 1)] * 4, *[(2, 1)] * 2, (2, 2)) * q),
        "swiglu_forward": (256, "a layer", 6 * inner, None, per_element((2, 2), (4, 2)) * inner),
        "swiglu_backward": (256, "a layer", 10 * inner, None,
                            per_element((4, 2), (4, 2), *[(2, 2)] * 4, *[(4, 2)] * 2) * inner),
        "geglu_forward": (256, "a layer of that size", 6 * inner, None, GEGLU * inner),
        "geglu_backward": (256, "a layer of that size", 10 * inner, None, None),
        "rows_gather": (256, "hidden states that predict", 4 * PREDICTED * d, None, 4 * PREDICTED * d),
        "rows_sum": (256, "their gradients", 4 * PREDICTED * d, None, 6 * PREDICTED * d),
        "token_head_forward": (256, "all logits, in slices", 4 * logits, None, LOGIT * logits),
        "token_head_backward": (256, "all logits, in slices", 6 * logits, None, LOGIT_BACK * logits),
        "accumulate": (256, "all gradients", 10 * parameters(m), None, per_element((2, 4), (8, 4)) * parameters(m)),
        "squares": (256, "all gradients", 4 * parameters(m), None, per_element((4, 4), (4, 0)) * parameters(m)),
        "adamw_moments": (256, "all parameters", 24 * parameters(m), None, None),
        "adamw_store": (256, "all parameters; at the right: all of AdamW", 18 * parameters(m), None, ADAMW * parameters(m)),
        "nf4_decode": (256, "a layer's matrices", round((0.5 + 4 / 64 + 2) * layer_elements(m)), None, None),
        "head_chunk": (256, f"a token of {ROWS} rows", 10 * sampled, None, None),
        "head_finish": (256, f"a token of {ROWS} rows", ROWS * (16 * m["vocab"] // SAMPLER_TILE + 10 * d), None, None),
        "head_add_features": (256, f"a token of {ROWS} rows", 12 * ROWS * d, None, None),
    }


def nvcc():
    home = os.environ.get("CUDA_HOME")
    path = shutil.which("nvcc", path=os.path.join(home, "bin") if home else None)
    if not path:
        raise SystemExit("there is no nvcc: name the folder of the CUDA toolkit in CUDA_HOME, or its bin in PATH")
    return path


def compiled(compiler, name, architecture, defines):
    """By kernel: registers, bytes of shared memory, bytes of spills that are stored and loaded."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "kernels.cu"
        source.write_text((SOURCES / "common.cuh").read_text() + (SOURCES / f"{name}.cu").read_text())
        command = [compiler, "-cubin", f"-arch={architecture}", "-Xptxas", "-v", *defines, "-o", str(Path(folder) / "out"), str(source)]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{name} does not compile for {architecture}:\n{done.stderr}")
    found = {}
    for part in done.stderr.split("Compiling entry function")[1:]:
        kernel = re.search(r"'(\w+)'", part)[1]
        number = lambda pattern: int(match[1]) if (match := re.search(pattern, part)) else 0
        found[kernel] = dict(
            registers=number(r"Used (\d+) registers"),
            shared=number(r"(\d+) bytes smem"),
            spills=(number(r"(\d+) bytes spill stores"), number(r"(\d+) bytes spill loads")),
        )
    return found


def resident_warps(architecture, need, threads):
    """Warps that a multiprocessor holds of blocks with this many threads."""
    warps = threads // 32
    # Registers are given to a warp 256 at a time.
    by_registers = REGISTERS // (-(-need["registers"] * 32 // 256) * 256) // warps
    by_shared = SHARED[architecture] // (need["shared"] + 1024)
    return min(WARPS // warps, BLOCKS, by_registers, by_shared) * warps


def amount(number, unit):
    """A number in millions or thousands of millions, with three digits."""
    if number is None:
        return "-"
    for prefix, size in [("T", 1e12), ("G", 1e9), ("M", 1e6)]:
        if number >= size:
            return f"{number / size:.3g} {prefix}{unit}"
    return f"{number / 1e3:.3g} k{unit}"


def microseconds(size, operations, bandwidth):
    time = max(size / bandwidth, (operations or 0) / TENSOR) * 1e6
    return f"{time:,.0f}" if time >= 100 else f"{time:.3g}"


def row(cells):
    return "| " + " | ".join(cells) + " |"


def head(cells):
    return [row(cells), "|" + "---|" * len(cells)]


def both(needs, value):
    """A figure of both architectures, once where it is the same."""
    figures = [value(needs[architecture], architecture) for architecture in ARCHITECTURES]
    return figures[0] if figures[0] == figures[1] else " / ".join(figures)


def tables(sources):
    compiler = nvcc()
    group = MODELS["Qwen3-1.7B"]["heads"] // MODELS["Qwen3-1.7B"]["kv"]
    defines = ["-DBF16", f"-DHEAD_DIM={HEAD}", f"-DGROUP={group}"]
    jobs = [(name, architecture) for name in sources for architecture in ARCHITECTURES]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = dict(zip(jobs, pool.map(lambda job: compiled(compiler, *job, defines), jobs)))
    first, *others = MODELS
    lines = [f"### {first}", ""]
    lines += head(["Kernel", "Registers", "Shared memory", "Spilled, stored + loaded", "Warps of 64", "A call is", "Bytes", "Operations",
                   "H200, µs", "H100, µs", "Plain operations"])
    known = work(MODELS[first])
    # In the order of the source.
    place = {name: (SOURCES / f"{name}.cu").read_text().index for name in sources}
    kernels = {name: sorted(results[name, ARCHITECTURES[0]], key=lambda kernel: place[name](f" {kernel}(")) for name in sources}
    for name in sources:
        for kernel in kernels[name]:
            needs = {architecture: results[name, architecture][kernel] for architecture in ARCHITECTURES}
            threads, call, size, operations, plain = known.get(kernel, (None, "", None, None, None))
            warps = both(needs, lambda need, architecture: str(resident_warps(architecture, need, threads))) if threads else "-"
            lines.append(row([
                f"`{kernel}`",
                both(needs, lambda need, _: str(need["registers"])),
                both(needs, lambda need, _: f"{need['shared']:,}"),
                both(needs, lambda need, _: "{} + {}".format(*need["spills"]) if any(need["spills"]) else "0"),
                warps,
                call,
                amount(size, "B"),
                amount(operations, "FLOP"),
                microseconds(size, operations, H200) if size else "-",
                microseconds(size, operations, H100) if size else "-",
                amount(plain, "B"),
            ]))
    for model in others:
        lines += ["", f"### {model}", ""]
        lines += head(["Kernel", "Bytes", "Operations", "H200, µs", "H100, µs", "Plain operations"])
        other = work(MODELS[model])
        for name in sources:
            for kernel in kernels[name]:
                if kernel in known and other[kernel][2:] != known[kernel][2:]:
                    _, _, size, operations, plain = other[kernel]
                    lines.append(row([f"`{kernel}`", amount(size, "B"), amount(operations, "FLOP"), microseconds(size, operations, H200),
                                      microseconds(size, operations, H100), amount(plain, "B")]))
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="*", help="names of .cu files; left out, all but those of the decode kernels")
    parser.add_argument("--write", type=Path, help="a page with the lines <!-- tables --> and <!-- end of tables -->")
    given = parser.parse_args()
    sources = given.sources or sorted(path.stem for path in SOURCES.glob("*.cu") if path.stem not in LEFT_OUT)
    text = tables(sources)
    if not given.write:
        print(text)
        return
    page = given.write.read_text()
    before, rest = page.split("<!-- tables -->")
    after = rest.split("<!-- end of tables -->")[1]
    given.write.write_text(f"{before}<!-- tables -->\n\n{text}\n\n<!-- end of tables -->{after}")


if __name__ == "__main__":
    main()
