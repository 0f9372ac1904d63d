"""Times PyTorch, Transformers and TRL at the work of `orthant bench`, and `orthant bench` beside them in the same run.

    cargo build --release
    pip install torch transformers trl
    python benches/pytorch.py --orthant target/release/orthant

Same shape, same numbers of sequences and tokens, random weights, no early stop, by default f32 on the CPU. Whoever is measured has
the machine for itself; they take turns, so that a disturbance meets all. The last line is JSON.

`--shape` chooses the shape: the small one of `orthant bench`, or that of a model people train, with numbers of tokens to suit two
cores. Any single number can be given besides. Seconds are medians, with the least and the greatest beside them, and with processor time,
which says less of what else runs on the machine.

On a GPU (`--device cuda --dtype bf16`) a part that is not installed (TRL) is left out, and the rate of a large matrix product is
measured too, of which the update's products are a share.

generate   Transformers' `generate` with its cache, sampling at temperature 1
update     forward, clipped surrogate, backward, gradient clipping at 1, AdamW; with the reference's forward pass and KL, as the step has it
step       TRL's GRPOTrainer, one optimizer step with KL 0.001: generation, old and reference log-probabilities, update
product    operations per second of a product of two matrices of 8192 x 8192 (only on a GPU)
"""

import argparse
import contextlib
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time

PARTS = ["generate", "update", "step", "product"]

SHAPES = {
    "small": dict(hidden=256, layers=6, heads=8, kv_heads=4, head_dim=32, intermediate=768, vocab=512, prompts=8, group=16,
                  prompt_len=32, new_tokens=128),
    "smollm2-135m": dict(hidden=576, layers=30, heads=9, kv_heads=3, head_dim=64, intermediate=1536, vocab=49152, prompts=4,
                         group=16, prompt_len=32, new_tokens=32),
    "qwen3-0.6b": dict(hidden=1024, layers=28, heads=16, kv_heads=8, head_dim=128, intermediate=3072, vocab=151936, prompts=2,
                       group=8, prompt_len=32, new_tokens=16),
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orthant", help="the program to measure beside")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--micro-batch", type=int, default=16, help="sequences of a forward pass in update and step")
    parser.add_argument("--shape", choices=SHAPES, default="small")
    for name in SHAPES["small"]:
        parser.add_argument("--" + name.replace("_", "-"), type=int)
    parser.add_argument("--lora-rank", type=int, help="trains an adapter of this rank on all linear layers (by peft)")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    for name, value in SHAPES[args.shape].items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    return args


def model_of(args):
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    config = Qwen3Config(vocab_size=args.vocab, hidden_size=args.hidden, num_hidden_layers=args.layers,
                         num_attention_heads=args.heads, num_key_value_heads=args.kv_heads, head_dim=args.head_dim,
                         intermediate_size=args.intermediate, tie_word_embeddings=True, eos_token_id=None,
                         pad_token_id=0, bos_token_id=None, max_position_embeddings=4096)
    # Random numbers are drawn where the model stays: on the CPU those of a large one take half a minute.
    with torch.device(args.device):
        model = Qwen3ForCausalLM(config)
    model = model.to(args.device, {"f32": torch.float32, "bf16": torch.bfloat16}[args.dtype])
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    return model


def adapter_of(args):
    from peft import LoraConfig

    layers = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    return LoraConfig(r=args.lora_rank, lora_alpha=args.lora_rank, lora_dropout=0.0, target_modules=layers, task_type="CAUSAL_LM")


def prompts_of(args):
    import torch

    generator = torch.Generator().manual_seed(0)
    prompts = torch.randint(1, args.vocab, (args.prompts, args.prompt_len), generator=generator)
    return prompts.repeat_interleave(args.group, 0).to(args.device)


def timed(work, repeat, args):
    import torch

    wait = torch.cuda.synchronize if args.device == "cuda" else lambda: None
    work()
    marks = []
    for _ in range(repeat):
        wait()
        start = now()
        work()
        wait()
        marks.append((start, now()))
    return spread(marks)


def now():
    """Wall time and the processor time of all threads of this process."""
    return time.perf_counter(), time.process_time()


def spread(marks):
    """Medians of what lies between marks of `now`, and the least and the greatest wall time."""
    wall = [end[0] - start[0] for start, end in marks]
    cpu = [end[1] - start[1] for start, end in marks]
    return {"seconds": statistics.median(wall), "seconds_min": min(wall), "seconds_max": max(wall),
            "cpu_seconds": statistics.median(cpu)}


def generate(args):
    import torch

    model, prompts = model_of(args).eval(), prompts_of(args)
    if args.lora_rank:
        from peft import get_peft_model

        model = get_peft_model(model, adapter_of(args)).eval()

    @torch.inference_mode()
    def work():
        found = model.generate(prompts, attention_mask=torch.ones_like(prompts), do_sample=True, temperature=1.0, top_k=0,
                               max_new_tokens=args.new_tokens, min_new_tokens=args.new_tokens)
        assert found.shape[1] == args.prompt_len + args.new_tokens

    found = timed(work, args.repeat, args)
    return {**found, "tok_s": prompts.shape[0] * args.new_tokens / found["seconds"]}


def update(args):
    import torch

    model, prompts = model_of(args), prompts_of(args)
    if args.lora_rank:
        from peft import get_peft_model

        # The reference is the base, which is the model without its adapter.
        model = get_peft_model(model, adapter_of(args))
        reference, base_only = model, model.disable_adapter
    else:
        reference, base_only = model_of(args).eval(), contextlib.nullcontext
    count, length = prompts.shape[0], args.prompt_len + args.new_tokens
    tokens = torch.cat([prompts, torch.randint(1, args.vocab, (count, args.new_tokens)).to(args.device)], 1)
    advantages = torch.randn(count, 1).to(args.device)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-6, fused=True)

    def logprobs(model, tokens):
        keep = args.new_tokens + 1
        logits = model(tokens, logits_to_keep=keep).logits[:, :-1]
        return torch.gather(logits.float().log_softmax(-1), 2, tokens[:, -args.new_tokens:, None])[..., 0]

    with torch.no_grad():
        old = torch.cat([logprobs(model, part) for part in tokens.split(args.micro_batch)])

    def work(with_reference):
        for start in range(0, count, args.micro_batch):
            part = slice(start, start + args.micro_batch)
            now = logprobs(model, tokens[part])
            ratio = (now - old[part]).exp()
            loss = -torch.minimum(ratio * advantages[part], ratio.clamp(0.8, 1.2) * advantages[part])
            if with_reference:
                with torch.no_grad(), base_only():
                    base = logprobs(reference, tokens[part])
                loss = loss + 0.001 * ((base - now).exp() - (base - now) - 1)
            (loss.sum() / (count * args.new_tokens)).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    alone = timed(lambda: work(False), args.repeat, args)
    both = timed(lambda: work(True), args.repeat, args)
    return {**both, "tok_s": count * length / both["seconds"],
            "tok_s_without_reference": count * length / alone["seconds"]}


def step(args):
    import torch
    from datasets import Dataset
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    vocabulary = {str(number): number for number in range(args.vocab)}
    plain = Tokenizer(models.WordLevel(vocabulary, unk_token="0"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="0", eos_token="0")
    prompts = [" ".join(map(str, row.tolist())) for row in prompts_of(args)[:: args.group]]
    count = args.prompts * args.group
    toss = random.Random(0)

    def reward(completions, **_):
        return [toss.choice([-1.0, 1.0]) for _ in completions]

    class Clock(TrainerCallback):
        marks = []

        def on_step_begin(self, *_, **__):
            self.marks.append([now()])

        def on_step_end(self, *_, **__):
            self.marks[-1].append(now())

    with tempfile.TemporaryDirectory() as folder:
        config = GRPOConfig(output_dir=folder, per_device_train_batch_size=args.micro_batch,
                            gradient_accumulation_steps=count // args.micro_batch, num_generations=args.group,
                            max_completion_length=args.new_tokens, beta=0.001, temperature=1.0, max_steps=args.repeat + 1,
                            learning_rate=1e-6, use_cpu=args.device == "cpu", report_to=[], save_strategy="no", logging_steps=1000,
                            disable_tqdm=True, bf16=args.dtype == "bf16", gradient_checkpointing=False, shuffle_dataset=False,
                            generation_kwargs={"min_new_tokens": args.new_tokens})
        model = model_of(args)
        # TRL loads the reference policy from where the model came from.
        model.save_pretrained(folder + "/model")
        model.config._name_or_path = folder + "/model"
        trainer = GRPOTrainer(model=model, reward_funcs=reward, args=config, processing_class=tokenizer,
                              train_dataset=Dataset.from_dict({"prompt": prompts * (args.repeat + 2)}),
                              callbacks=[Clock()], peft_config=adapter_of(args) if args.lora_rank else None)
        trainer.train()
    assert len(Clock.marks) > 1 and torch.get_num_threads() == args.threads
    return spread(Clock.marks[1:])


def product(args):
    import torch

    n = 8192
    a, b = (torch.randn(n, n, device=args.device, dtype=torch.bfloat16 if args.dtype == "bf16" else torch.float32) for _ in "ab")
    seconds = timed(lambda: [a @ b for _ in range(20)], 5, args)["seconds"] / 20
    return {"seconds": seconds, "flop_s": 2 * n**3 / seconds}


def operations(args):
    """Multiplications and additions of the update per token of prompts and responses, attention aside: forward and backward, the
    reference's forward pass, and the logits that backward recomputes; see `orthant bench`."""
    attention = (2 * args.heads + 2 * args.kv_heads) * args.head_dim * args.hidden
    inner = args.layers * (attention + 3 * args.hidden * args.intermediate)
    return 8 * inner + 10 * args.vocab * args.hidden * args.new_tokens / (args.prompt_len + args.new_tokens)


def peak_mib(args):
    if args.device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    args = arguments()
    if args.part:
        print(json.dumps({**globals()[args.part](args), "peak_mib": peak_mib(args)}))
        return
    found = {}
    on_gpu = args.device == "cuda"
    for part in PARTS if on_gpu else PARTS[:3]:
        run = subprocess.run([sys.executable, __file__, *sys.argv[1:], "--part", part], check=not on_gpu, capture_output=True,
                             text=True)
        if run.returncode:
            print(part, "left out:", run.stderr.strip().splitlines()[-1], flush=True)
            continue
        found[part] = json.loads(run.stdout.splitlines()[-1])
        print(part, found[part], flush=True)
        # A GPU is nobody else's, and a large model takes a while to be made: once is enough there.
        if args.orthant and part != "product" and not (on_gpu and "orthant" in found):
            names = [*SHAPES["small"], "repeat"]
            options = ["--device", "cuda:0" if on_gpu else "cpu", "--dtype", args.dtype]
            options += [text for name in names for text in ("--" + name.replace("_", "-"), str(getattr(args, name)))]
            options += ["--lora-rank", str(args.lora_rank)] if args.lora_rank else []
            line = subprocess.run([args.orthant, "bench", "--json", *options], check=True, stdout=subprocess.PIPE,
                                  text=True).stdout.splitlines()[-1]
            found.setdefault("orthant", []).append(json.loads(line))
            print("orthant", found["orthant"][-1], flush=True)
    if args.orthant:
        runs = found["orthant"]
        own = {name: statistics.median(run[name] for run in runs) for name, value in runs[0].items() if value is not None}
        ratios = {"step, orthant G2RL over GRPO": own["step_g2rl_s"] / own["step_grpo_s"]}
        if "generate" in found:
            ratios["sampling, orthant tokens/s over generate"] = own["sample_tok_s"] / found["generate"]["tok_s"]
        if "update" in found:
            ratios["update, orthant tokens/s over PyTorch"] = own["update_tok_s"] / found["update"]["tok_s"]
        if "step" in found:
            ratios["step, TRL seconds over orthant G2RL"] = found["step"]["seconds"] / own["step_g2rl_s"]
            ratios["step, TRL processor seconds over orthant G2RL"] = found["step"]["cpu_seconds"] / own["step_g2rl_cpu_s"]
            ratios["memory, orthant peak over TRL"] = own["peak_memory_mib"] / found["step"]["peak_mib"]
        if "product" in found:
            ratios["update, share of the rate of products"] = own["update_tok_s"] * operations(args) / found["product"]["flop_s"]
        for name, ratio in ratios.items():
            print(f"{ratio:8.2f}  {name}")
        found["ratios"] = ratios
    print(json.dumps(found))


if __name__ == "__main__":
    main()
