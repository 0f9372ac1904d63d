"""Times llama.cpp's batched decoding in f32 at the work of `orthant bench`'s sampling, and `orthant bench` beside it.

    CMAKE_ARGS="-DGGML_NATIVE=ON" pip install --no-binary llama-cpp-python llama-cpp-python gguf numpy
    python benches/llamacpp.py --orthant target/release/orthant --shape smollm2-135m

The weights are random and have the shape of Qwen3, as those of `orthant bench`. A prompt is run once and its keys and values are shared by
its responses. Each step decodes one token of every response and computes the logits of all. No token is drawn: what follows is a list
of random numbers, so what is timed is less than what `orthant bench` does.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time

from pytorch import SHAPES


def write_model(path, args):
    import gguf
    import numpy

    generator = numpy.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "qwen3")
    writer.add_context_length(args.prompt_len + args.new_tokens)
    writer.add_embedding_length(args.hidden)
    writer.add_block_count(args.layers)
    writer.add_feed_forward_length(args.intermediate)
    writer.add_head_count(args.heads)
    writer.add_head_count_kv(args.kv_heads)
    writer.add_key_length(args.head_dim)
    writer.add_value_length(args.head_dim)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(args.vocab)
    writer.add_tokenizer_model("no_vocab")

    def add(name, *shape):
        value = 1.0 if len(shape) == 1 else 0.02 * generator.standard_normal(shape, numpy.float32)
        writer.add_tensor(name + ".weight", numpy.broadcast_to(numpy.float32(value), shape).copy())

    q, kv = args.heads * args.head_dim, args.kv_heads * args.head_dim
    add("token_embd", args.vocab, args.hidden)
    add("output_norm", args.hidden)
    for layer in range(args.layers):
        for name, *shape in [("attn_norm", args.hidden), ("attn_q", q, args.hidden), ("attn_k", kv, args.hidden),
                             ("attn_v", kv, args.hidden), ("attn_q_norm", args.head_dim), ("attn_k_norm", args.head_dim),
                             ("attn_output", args.hidden, q), ("ffn_norm", args.hidden),
                             ("ffn_gate", args.intermediate, args.hidden), ("ffn_up", args.intermediate, args.hidden),
                             ("ffn_down", args.hidden, args.intermediate)]:
            add(f"blk.{layer}.{name}", *shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class Decoder:
    def __init__(self, path, args):
        import llama_cpp as api

        self.api, self.args = api, args
        api.llama_backend_init()
        # It is called from outside of Python, so it has to live as long as this.
        self.silence = api.llama_log_callback(lambda *_: None)
        api.llama_log_set(self.silence, None)
        self.model = api.llama_model_load_from_file(path.encode(), api.llama_model_default_params())
        assert self.model, "the model was not loaded"
        rows, settings = args.prompts * args.group, api.llama_context_default_params()
        settings.n_seq_max = rows
        settings.n_ctx = args.prompts * args.prompt_len + rows * args.new_tokens
        settings.n_batch = settings.n_ubatch = max(rows, args.prompts * args.prompt_len)
        settings.n_threads = settings.n_threads_batch = args.threads
        settings.kv_unified = True
        settings.type_k = settings.type_v = api.GGML_TYPE_F32
        self.context = api.llama_init_from_model(self.model, settings)
        assert self.context, "there is no context"
        self.batch = api.llama_batch_init(settings.n_batch, 0, 1)

    def run(self, tokens):
        """Decodes (token, position, sequence, whether its logits are wanted)."""
        batch = self.batch
        batch.n_tokens = len(tokens)
        for place, (token, position, sequence, wanted) in enumerate(tokens):
            batch.token[place], batch.pos[place], batch.n_seq_id[place] = token, position, 1
            batch.seq_id[place][0], batch.logits[place] = sequence, wanted
        assert self.api.llama_decode(self.context, batch) == 0

    def sample(self):
        import random

        args, toss = self.args, random.Random(0)
        memory = self.api.llama_get_memory(self.context)
        self.api.llama_memory_clear(memory, True)
        draw = lambda: toss.randrange(args.vocab)
        self.run([(draw(), place, prompt * args.group, place + 1 == args.prompt_len)
                  for prompt in range(args.prompts) for place in range(args.prompt_len)])
        for row in range(args.prompts * args.group):
            if row % args.group:
                self.api.llama_memory_seq_cp(memory, row - row % args.group, row, -1, -1)
        for step in range(args.new_tokens - 1):
            self.run([(draw(), args.prompt_len + step, row, True) for row in range(args.prompts * args.group)])
            self.api.llama_synchronize(self.context)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orthant", help="the program to measure beside")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--shape", choices=SHAPES, default="smollm2-135m")
    for name in SHAPES["small"]:
        parser.add_argument("--" + name.replace("_", "-"), type=int)
    args = parser.parse_args()
    for name, value in SHAPES[args.shape].items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    new = args.prompts * args.group * args.new_tokens
    with tempfile.TemporaryDirectory() as folder:
        write_model(folder + "/model.gguf", args)
        decoder = Decoder(folder + "/model.gguf", args)
        decoder.sample()
        times = []
        for _ in range(args.repeat):
            start = time.perf_counter()
            decoder.sample()
            times.append(time.perf_counter() - start)
    found = {"tok_s": new / statistics.median(times), "tok_s_min": new / max(times), "tok_s_max": new / min(times)}
    print("llama.cpp", found, flush=True)
    del decoder
    if args.orthant:
        options = [text for name in SHAPES["small"] for text in ("--" + name.replace("_", "-"), str(getattr(args, name)))]
        line = subprocess.run([args.orthant, "bench", "--json", "--repeat", str(args.repeat), *options], check=True,
                              capture_output=True, text=True).stdout.splitlines()[-1]
        own = json.loads(line)
        print("orthant", own)
        print(f"{own['sample_tok_s'] / found['tok_s']:8.2f}  sampling, orthant tokens/s over llama.cpp")


if __name__ == "__main__":
    main()
