#!/usr/bin/env python3
"""Runs every CUDA kernel of Orthant by itself and compares it with PyTorch in float64.

    python3 tests/gpu/kernels.py                     on the first GPU, compiled by NVRTC as the program does it
    python3 tests/gpu/kernels.py --emulate           on the CPU, compiled as C++ behind emulator.h; small shapes
    python3 tests/gpu/kernels.py --time --only norms,attention

One line per check; the exit status is 1 where one failed. Needs PyTorch, with CUDA for the GPU. An error of a kernel spoils all that
follows in the process, so groups are best run in processes of their own (bringup.sh does).

The shapes of launches and the order of arguments are those of crates/kernels/src/cuda/*.rs.
"""

import argparse
import ctypes
import glob
import os
import re
import struct
import subprocess
import sys
import tempfile
import time

import torch

SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "crates", "kernels", "src", "cuda")
F64 = torch.float64
INFINITY = float("inf")
NO_WINDOW = 2**31 - 1


def divided(a, b):
    """a / b, rounded up."""
    return -(-a // b)


class U64(int):
    """A whole number that a kernel takes as 64 bits; a plain int is 32 bits, a float 32 bits."""


def source_of(program):
    with open(os.path.join(SOURCES, program + ".cu")) as file:
        return file.read()


def macros(bf16, head_dim, group):
    found = ["-DBF16"] if bf16 else []
    found += [f"-DHEAD_DIM={head_dim}"] if head_dim else []
    found += [f"-DGROUP={group}"] if group else []
    return found


class Gpu:
    """Compiles programs by NVRTC and launches kernels on PyTorch's stream, as device.rs does."""

    device = "cuda"

    def __init__(self):
        torch.zeros(1, device="cuda")
        torch.cuda.synchronize()
        assert not torch.backends.cuda.matmul.allow_tf32
        self.driver = ctypes.CDLL("libcuda.so.1")
        self.nvrtc = ctypes.CDLL(self.nvrtc_path())
        major, minor = torch.cuda.get_device_capability()
        self.architecture = f"compute_{major}{minor}"
        self.modules = {}
        self.functions = {}

    @staticmethod
    def nvrtc_path():
        folders = [os.path.join(os.path.dirname(torch.__file__), "..", "nvidia", "*", "lib"), "/usr/local/cuda*/lib64",
                   "/usr/local/cuda*/targets/*/lib", "/usr/lib/x86_64-linux-gnu"]
        for name in ["libnvrtc.so.13", "libnvrtc.so*"]:
            for folder in folders:
                found = sorted(glob.glob(os.path.join(folder, name)))
                if found:
                    return found[0]
        return "libnvrtc.so"

    def check(self, status, what):
        if status:
            name = ctypes.c_char_p()
            self.driver.cuGetErrorName(status, ctypes.byref(name))
            raise RuntimeError(f"{what}: {status} {name.value}")

    def ptx(self, program, options):
        source = f'{source_of_common()}\n#line 1 "{program}.cu"\n{source_of(program)}'
        handle, size = ctypes.c_void_p(), ctypes.c_size_t()
        name = f"{program}.cu".encode()
        assert self.nvrtc.nvrtcCreateProgram(ctypes.byref(handle), source.encode(), name, 0, None, None) == 0
        options = options + [f"--gpu-architecture={self.architecture}", "--std=c++17", "--generate-line-info"]
        texts = (ctypes.c_char_p * len(options))(*[option.encode() for option in options])
        if self.nvrtc.nvrtcCompileProgram(handle, len(options), texts):
            self.nvrtc.nvrtcGetProgramLogSize(handle, ctypes.byref(size))
            log = ctypes.create_string_buffer(size.value)
            self.nvrtc.nvrtcGetProgramLog(handle, log)
            raise RuntimeError(log.value.decode())
        self.nvrtc.nvrtcGetPTXSize(handle, ctypes.byref(size))
        ptx = ctypes.create_string_buffer(size.value)
        self.nvrtc.nvrtcGetPTX(handle, ptx)
        return ptx

    def function(self, program, kernel, bf16, head_dim, group):
        key = (program, bf16, head_dim, group)
        if key not in self.modules:
            start = time.time()
            ptx = self.ptx(program, macros(bf16, head_dim, group))
            compiled = time.time()
            module = ctypes.c_void_p()
            self.check(self.driver.cuModuleLoadData(ctypes.byref(module), ptx), "cuModuleLoadData")
            print(f"     {program} {'bf16' if bf16 else 'f32'} {head_dim or ''} {group or ''}: NVRTC {compiled - start:.1f} s, "
                  f"driver {time.time() - compiled:.1f} s", flush=True)
            self.modules[key] = module
        if (key, kernel) not in self.functions:
            function = ctypes.c_void_p()
            status = self.driver.cuModuleGetFunction(ctypes.byref(function), self.modules[key], kernel.encode())
            self.check(status, kernel)
            self.functions[key, kernel] = function
        return self.functions[key, kernel]

    def launch(self, program, kernel, blocks, threads, arguments, bf16, head_dim, group, wait):
        function = self.function(program, kernel, bf16, head_dim, group)
        values = []
        for argument in arguments:
            if isinstance(argument, torch.Tensor):
                assert argument.is_contiguous()
                values.append(ctypes.c_uint64(argument.data_ptr()))
            elif isinstance(argument, U64):
                values.append(ctypes.c_uint64(argument))
            elif isinstance(argument, int):
                values.append(ctypes.c_uint32(argument))
            else:
                values.append(ctypes.c_float(argument))
        pointers = [ctypes.cast(ctypes.pointer(value), ctypes.c_void_p) for value in values]
        pointers = (ctypes.c_void_p * len(pointers))(*pointers)
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
        status = self.driver.cuLaunchKernel(function, blocks[0], blocks[1], 1, threads, 1, 1, 0, stream, pointers, None)
        self.check(status, f"cuLaunchKernel of {kernel}")
        if wait:
            torch.cuda.synchronize()


class Emulator:
    """Compiles programs as C++ behind emulator.h, and sends launches to them through pipes, as emulate.rs does."""

    device = "cpu"

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.processes = {}

    def process(self, program, bf16, head_dim, group):
        key = (program, bf16, head_dim, group)
        if key not in self.processes:
            source = source_of(program)
            kernels = re.findall(r"__global__ void(?:\s+__launch_bounds__\([^)]*\))?\s+(\w+)\(", source)
            cases = [f'if (name == "{kernel}") return emulator::launch({kernel}, arguments), true;' for kernel in kernels]
            path = os.path.join(self.folder.name, "-".join(map(str, key)))
            with open(path + ".cpp", "w") as file:
                file.write(f'#include "{os.path.join(SOURCES, "emulator.h")}"\n{source_of_common()}\n{source}\n'
                           "int main() {\nreturn emulator::serve([](const std::string& name, const "
                           "std::vector<emulator::Argument>& arguments) {\n" + "\n".join(cases) + "\nreturn false;\n});\n}\n")
            options = ["-std=c++17", "-O1", "-w", "-U_FORTIFY_SOURCE", "-fno-strict-aliasing", "-ffp-contract=off"]
            compiler = os.environ.get("CXX", "c++")
            subprocess.run([compiler, *options, "-o", path, *macros(bf16, head_dim, group), path + ".cpp"], check=True)
            self.processes[key] = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self.processes[key]

    def launch(self, program, kernel, blocks, threads, arguments, bf16, head_dim, group, wait):
        process = self.process(program, bf16, head_dim, group)
        request = [struct.pack("<I", len(kernel)), kernel.encode(),
                   struct.pack("<5I", blocks[0], blocks[1], 1, threads, len(arguments))]
        tensors = []
        for argument in arguments:
            if isinstance(argument, torch.Tensor):
                assert argument.is_contiguous()
                content = argument.reshape(-1).view(torch.uint8).numpy().tobytes()
                request += [b"\0", struct.pack("<Q", len(content)), content]
                tensors.append((argument, len(content)))
                continue
            kind = "<Q" if isinstance(argument, U64) else "<I" if isinstance(argument, int) else "<f"
            content = struct.pack(kind, argument)
            request += [b"\1", struct.pack("<Q", len(content)), content]
        process.stdin.write(b"".join(request))
        process.stdin.flush()
        for tensor, size in tensors:
            content = process.stdout.read(size)
            if len(content) != size:
                raise RuntimeError(f"the emulator of {kernel} ended with status {process.wait()}")
            tensor.reshape(-1).view(torch.uint8).copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))


def source_of_common():
    with open(os.path.join(SOURCES, "common.cuh")) as file:
        return file.read()


class Group:
    """Checks of kernels for tensors of one type."""

    failed = 0

    def __init__(self, machine, bf16, timing):
        self.machine, self.bf16, self.timing = machine, bf16, timing
        self.device, self.emulated = machine.device, machine.device == "cpu"
        self.dtype = torch.bfloat16 if bf16 else torch.float32
        self.pack = 8 if bf16 else 4
        self.type_name = "bf16" if bf16 else "f32"

    def launch(self, program, kernel, blocks, threads, *arguments, head_dim=0, group=0, bf16=None, wait=True):
        blocks = blocks if isinstance(blocks, tuple) else (blocks, 1)
        bf16 = self.bf16 if bf16 is None else bf16
        self.machine.launch(program, kernel, blocks, threads, arguments, bf16, head_dim, group, wait)

    def random(self, *shape, dtype=None, scale=1.0):
        """Uniform in [-scale, scale), with the precision of bf16, so that both types begin with the same."""
        values = (torch.rand(*shape, device=self.device) * 2 - 1) * scale
        return values.to(torch.bfloat16).to(dtype or self.dtype)

    def empty(self, *shape, dtype=None):
        """Memory to be written to; what is left out stays NaN."""
        return torch.full(shape, float("nan"), dtype=dtype or self.dtype, device=self.device)

    def floats(self, *shape):
        return self.empty(*shape, dtype=torch.float32)

    def integers(self, values):
        return torch.as_tensor(values, dtype=torch.int32, device=self.device)

    def say(self, name, is_right, text=""):
        Group.failed += not is_right
        print(f"{'ok  ' if is_right else 'FAIL'} {name + ' ' + self.type_name:48s} {text}", flush=True)

    def compare(self, name, **pairs):
        """Found and expected tensors by name: differences relative to the size of what is expected."""
        limit = 1.2e-2 if self.bf16 else 2e-5
        errors = {}
        for what, (found, expected) in pairs.items():
            found, expected = found.to(F64), expected.to(F64)
            error = ((found - expected).norm() / expected.norm().clamp_min(1e-30)).item()
            errors[what] = INFINITY if error != error else error
        text = ", ".join(f"{what} {error:.1e}" for what, error in errors.items())
        self.say(name, all(error < limit for error in errors.values()), text)

    def time(self, name, work, bytes=0, operations=0, repeat=20):
        """Times launches that do not wait; `work` is given False for `wait`."""
        if not self.timing:
            return
        for _ in range(3):
            work()
        torch.cuda.synchronize()
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(repeat):
            work()
        end.record()
        torch.cuda.synchronize()
        seconds = start.elapsed_time(end) / repeat / 1e3
        rate = f" {bytes / seconds / 1e12:6.2f} TB/s" if bytes else ""
        rate += f" {operations / seconds / 1e12:7.1f} TFLOP/s" if operations else ""
        print(f"time {name + ' ' + self.type_name:48s} {seconds * 1e6:9.1f} us{rate}", flush=True)


def norms(g):
    for rows, d in [(7, 33), (1, 264)] if g.emulated else [(300, 2048), (4800, 128), (7, 33), (1, 264)]:
        for offset in [0.0, 1.0]:
            x, weight, grad = g.random(rows, d), g.random(d), g.random(rows, d)
            y, dx, dw, scales = g.empty(rows, d), g.empty(rows, d), g.empty(d), g.floats(rows)
            blocks = divided(rows, 4)
            g.launch("rms_norm", "rms_norm_forward", blocks, 128, x, weight, y, rows, d, 1e-6, offset)
            g.launch("rms_norm", "rms_norm_backward_input", blocks, 128, x, weight, grad, dx, scales, rows, d, 1e-6, offset)
            chunk = max(divided(rows, 256), 256)
            chunks = divided(rows, chunk)
            partial = g.floats(chunks, d)
            g.launch("rms_norm", "rms_norm_backward_weight", (divided(d, 32), chunks), 256, x, grad, scales, partial, rows, d, chunk)
            g.launch("rms_norm", "rms_norm_sum_chunks", divided(d, 128), 128, partial, dw, chunks, d)
            wide, w = x.to(F64).requires_grad_(), weight.to(F64).requires_grad_()
            expected = wide * (wide.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * (offset + w)
            expected.backward(grad.to(F64))
            g.compare(f"rms_norm {rows}x{d} offset {offset:.0f}", y=(y, expected.detach()), dx=(dx, wide.grad), dw=(dw, w.grad))
    if g.timing:
        rows, d = 4096, 2048
        x, weight, y = g.random(rows, d), g.random(d), g.random(rows, d)
        g.time(f"rms_norm_forward {rows}x{d}", lambda: g.launch(
            "rms_norm", "rms_norm_forward", rows // 4, 128, x, weight, y, rows, d, 1e-6, 0.0, wait=False), bytes=2 * x.nbytes)


def rotary(g):
    for tokens, heads, head_dim in [(19, 3, 6)] if g.emulated else [(300, 8, 128), (19, 3, 6)]:
        half, positions = head_dim // 2, 4096
        rates = 1e6 ** (-torch.arange(half, device=g.device, dtype=torch.float32) / half)
        angles = torch.arange(positions, device=g.device, dtype=torch.float32)[:, None] * rates[None]
        table = torch.stack([angles.cos(), angles.sin()]).contiguous()
        at = g.integers(torch.arange(tokens) * 13 % positions)
        x, y, back = g.random(tokens, heads, head_dim), g.empty(tokens, heads, head_dim), g.empty(tokens, heads, head_dim)
        blocks = divided(tokens * heads * divided(half, g.pack), 256)
        g.launch("rotary", "rotary_turn", blocks, 256, x, table, at, y, tokens, heads, half, positions, 1.0)
        g.launch("rotary", "rotary_turn", blocks, 256, y, table, at, back, tokens, heads, half, positions, -1.0)
        cos, sin = (table[i][at.long()][:, None].to(F64) for i in (0, 1))
        first, second = x[..., :half].to(F64), x[..., half:].to(F64)
        expected = torch.cat([first * cos - second * sin, second * cos + first * sin], -1)
        g.compare(f"rotary {tokens}x{heads}x{head_dim}", y=(y, expected), back=(back, x))


def rows(g):
    for n, d in [(6, 5), (40, 72)] if g.emulated else [(300, 2048), (6, 5), (40, 72)]:
        x, y = g.random(100, d), g.empty(n, d)
        index = torch.randint(0, 77, (n,), device=g.device)
        threads = min(max(divided(divided(d, g.pack), 32) * 32, 32), 256)
        g.launch("rows", "rows_gather", n, threads, x, g.integers(index), y, d)
        grad, dx = g.random(n, d), torch.zeros(100, d, dtype=g.dtype, device=g.device)
        places = torch.argsort(index, stable=True)
        wanted, counts = torch.unique_consecutive(index[places], return_counts=True)
        offsets = torch.cat([torch.zeros(1, dtype=torch.int64, device=g.device), counts.cumsum(0)])
        g.launch("rows", "rows_sum", len(wanted), threads, grad, g.integers(wanted), g.integers(offsets), g.integers(places), dx, d)
        expected = torch.zeros(100, d, dtype=F64, device=g.device).index_add_(0, index, grad.to(F64))
        g.compare(f"rows {n}x{d}", y=(y, x[index]), dx=(dx, expected))


def gated(g):
    functions = {"swiglu": torch.nn.functional.silu, "geglu": lambda x: torch.nn.functional.gelu(x, approximate="tanh")}
    for name, function in functions.items():
        for n in [9 * 131] if g.emulated else [300 * 6144, 9 * 131]:
            gate, up, grad = g.random(n, scale=4), g.random(n), g.random(n)
            y, d_gate, d_up = (g.empty(n) for _ in range(3))
            blocks = divided(divided(n, g.pack), 256)
            g.launch("gated", f"{name}_forward", blocks, 256, gate, up, y, U64(n))
            g.launch("gated", f"{name}_backward", blocks, 256, gate, up, grad, d_gate, d_up, U64(n))
            wide, wide_up = gate.to(F64).requires_grad_(), up.to(F64).requires_grad_()
            expected = function(wide) * wide_up
            expected.backward(grad.to(F64))
            g.compare(f"{name} {n}", y=(y, expected.detach()), d_gate=(d_gate, wide.grad), d_up=(d_up, wide_up.grad))
    if g.timing:
        n = 4096 * 6144
        gate, up, y = g.random(n), g.random(n), g.random(n)
        g.time("swiglu_forward 4096x6144", lambda: g.launch(
            "gated", "swiglu_forward", divided(n, 256 * g.pack), 256, gate, up, y, U64(n), wait=False), bytes=3 * y.nbytes)


def nf4(g):
    levels = torch.tensor([-1.0, -0.69619280099, -0.52507305145, -0.39491748810, -0.28444138169, -0.18477343023, -0.091050036252, 0.0,
                           0.079580299556, 0.16093020141, 0.24611230195, 0.33791524172, 0.44070982933, 0.56261700392,
                           0.72295683622, 1.0], device=g.device)
    for n in [1, 15, 9 * 131] if g.emulated else [1, 15, 9 * 131, 2048 * 6144]:
        codes = torch.randint(0, 256, (divided(n, 2),), dtype=torch.uint8, device=g.device)
        scales, elements = g.random(divided(n, 64), dtype=torch.float32).abs(), g.empty(n)
        g.launch("nf4", "nf4_decode", divided(divided(n, g.pack), 256), 256, codes, scales, elements, U64(n))
        halves = torch.stack([codes >> 4, codes & 15], -1).reshape(-1)[:n].long()
        expected = (levels[halves].reshape(-1) * scales.repeat_interleave(64)[:n]).to(g.dtype)
        g.compare(f"nf4 {n}", elements=(elements, expected))
    if g.timing:
        g.time(f"nf4_decode {n}", lambda: g.launch(
            "nf4", "nf4_decode", divided(divided(n, g.pack), 256), 256, codes, scales, elements, U64(n), wait=False),
            bytes=elements.nbytes + codes.nbytes + scales.nbytes)


def finite(g):
    threads, share, most = 256, 32 * 256, 1024
    for n in [1, 1003] if g.emulated else [1, 1003, 5_000_003]:
        blocks = min(divided(n, share), most)
        x, flag = g.random(n), g.integers([0])
        g.launch("finite", "find_not_finite", blocks, threads, x, flag, U64(n))
        none = flag.item() == 0
        found = []
        for place, value in [(0, INFINITY), (n // 2, -INFINITY), (n - 1, float("nan"))]:
            bad, flag = x.clone(), g.integers([0])
            bad[place] = value
            g.launch("finite", "find_not_finite", blocks, threads, bad, flag, U64(n))
            found.append(flag.item() == 1)
        g.say(f"finite {n}", none and all(found), f"{none} {found}")
    if g.timing:
        n = 1 << 29
        x, flag = torch.zeros(n, dtype=g.dtype, device=g.device), g.integers([0])
        g.time("find_not_finite 2^29", lambda: g.launch(
            "finite", "find_not_finite", most, threads, x, flag, U64(n), wait=False), bytes=x.nbytes)


def optimizer(g):
    f32 = torch.float32
    part, most_parts = 32 * 256, 1024
    rate, root_correction, eps, decay, scale = 0.01, 1.5, 1e-8, 0.999, 0.5
    for n in [1, 7, 1003] if g.emulated else [1, 7, 100_003, 20_000_003]:
        total, grad = g.random(n, dtype=f32), g.random(n)
        expected_sum = total.to(F64) + grad.to(F64)
        g.launch("optimizer", "accumulate", divided(divided(n, g.pack), 256), 256, total, grad, U64(n))
        parts = min(divided(n, part), most_parts)
        partial = g.empty(parts, dtype=F64)
        g.launch("optimizer", "squares", parts, 256, total, partial, U64(n), bf16=False)
        first, second, master = g.random(n, dtype=f32), g.random(n, dtype=f32).abs(), g.random(n, dtype=f32)
        gradient, flag = g.random(n, dtype=f32), g.integers([0])
        scaled = gradient.to(F64) * scale
        m, v = 0.9 * first.to(F64) + 0.1 * scaled, 0.99 * second.to(F64) + 0.01 * scaled**2
        weight = master.to(F64) * decay - rate * m / (v.sqrt() * root_correction + eps)
        blocks = divided(n, 256)
        g.launch("optimizer", "adamw_moments", blocks, 256, master, gradient, first, second, flag, U64(n), scale, 0.9, 0.99, rate,
                 root_correction, eps, decay, bf16=False)
        model = g.empty(n) if g.bf16 else g.empty(1)
        g.launch("optimizer", "adamw_store", blocks, 256, master, first, second, model, U64(n), rate, root_correction, eps, decay)
        pairs = {"sum": (total, expected_sum), "squares": (partial.sum()[None], total.to(F64).square().sum()[None]),
                 "m": (first, m), "v": (second, v), "master": (master, weight)}
        if g.bf16:
            pairs["weight"] = (model, weight)
        g.compare(f"optimizer {n}", **pairs)
        g.say(f"optimizer {n}, all finite", flag.item() == 0)
    if g.timing:
        n = 1 << 28
        total, partial = torch.zeros(n, device=g.device), g.empty(most_parts, dtype=F64)
        g.time("squares 2^28", lambda: g.launch(
            "optimizer", "squares", most_parts, 256, total, partial, U64(n), bf16=False, wait=False), bytes=total.nbytes, repeat=5)
        first, second, gradient, flag = *(torch.zeros_like(total) for _ in range(3)), g.integers([0])
        g.time("adamw_moments 2^28", lambda: g.launch(
            "optimizer", "adamw_moments", divided(n, 256), 256, total, gradient, first, second, flag, U64(n), scale, 0.9, 0.99, rate,
            root_correction, eps, decay, bf16=False, wait=False), bytes=6 * total.nbytes, repeat=5)


def token_head(g):
    inverse_temperature = 1 / 0.9
    for n, vocabulary in [(5, 19), (3, 700)] if g.emulated else [(5, 19), (3, 700), (70, 5000), (33, 151936)]:
        logits, targets = g.random(n, vocabulary, dtype=torch.float32, scale=6), torch.randint(0, vocabulary, (n,), device=g.device)
        out, grad, d_logits = g.floats(n, 2), g.random(n, 2, dtype=torch.float32), g.empty(n, vocabulary)
        g.launch("token_head", "token_head_forward", n, 256, logits, g.integers(targets), out, vocabulary, inverse_temperature)
        g.launch("token_head", "token_head_backward", n, 256, logits, g.integers(targets), out, grad, d_logits, vocabulary,
                 inverse_temperature)
        wide = logits.to(F64).requires_grad_()
        logprobs = torch.log_softmax(wide * inverse_temperature, -1)
        chosen, entropy = logprobs.gather(1, targets[:, None])[:, 0], -(logprobs.exp() * logprobs).sum(-1)
        expected = torch.stack([chosen, entropy], 1)
        expected.backward(grad.to(F64))
        g.compare(f"token_head {n}x{vocabulary}", out=(out, expected.detach()), d_logits=(d_logits, wide.grad))
    if g.timing:
        n, vocabulary = 441, 151936
        logits, d_logits = g.random(n, vocabulary, dtype=torch.float32), g.empty(n, vocabulary)
        targets, out, grad = g.integers([0] * n), torch.zeros(n, 2, device=g.device), torch.zeros(n, 2, device=g.device)
        g.time(f"token_head_forward {n}x{vocabulary}", lambda: g.launch(
            "token_head", "token_head_forward", n, 256, logits, targets, out, vocabulary, 1.0, wait=False), bytes=logits.nbytes)
        g.time(f"token_head_backward {n}x{vocabulary}", lambda: g.launch(
            "token_head", "token_head_backward", n, 256, logits, targets, out, grad, d_logits, vocabulary, 1.0, wait=False),
            bytes=logits.nbytes + d_logits.nbytes)


TILE = 512


def one_pass_head(g, hidden, weight, uniforms, inverse_temperature, chunk, wait=True):
    """Results (rows, 3) and features (rows, d) as one_pass_head.rs has them made. Where nothing is to be waited for the products are
    in the tensors' type, as cuBLAS makes them; otherwise in float, so that only the kernels round."""
    (n, d), vocabulary, device = hidden.shape, len(weight), g.device
    tiles = divided(vocabulary, TILE)
    states = torch.tensor([0.0, 0.0, -INFINITY], dtype=F64, device=device).repeat(n, 1)
    expected = torch.zeros(n, d, device=device)
    candidates = torch.full((n, tiles), -1, dtype=torch.int32, device=device)
    logs, masses, tops = (g.floats(n, tiles) for _ in range(3))
    results = torch.zeros(n, 3, dtype=torch.int32, device=device)

    def product(a, b):
        if wait or not g.bf16:
            return a.float() @ b.float()
        return torch.mm(a, b, out_dtype=torch.float32)

    for first in range(0, vocabulary, chunk):
        part = weight[first:first + chunk]
        tokens = len(part)
        logits, weights = product(hidden, part.t()).contiguous(), g.empty(n, tokens)
        g.launch("one_pass_head", "head_chunk", n, 256, logits, weights, states, expected, uniforms, candidates, logs, masses, tops,
                 tokens, first, tiles, d, inverse_temperature, wait=wait)
        expected += product(weights, part)
    g.launch("one_pass_head", "head_finish", n, 256, states, uniforms, candidates, logs, masses, tops, weight, expected, results,
             tiles, d, inverse_temperature, wait=wait)
    return results, expected


def head(g):
    inverse_temperature = 1 / 0.9
    shapes = [(4, 16, 1300, 512), (70, 256, 5000, 1024), (256, 2048, 151936, 4096)]
    for n, d, vocabulary, chunk in shapes[:1] if g.emulated else shapes:
        name = f"head {n}x{d}x{vocabulary}"
        hidden, weight = g.random(n, d), g.random(vocabulary, d, scale=0.06 if d > 1000 else 0.25)
        uniforms = torch.rand(n, 2, dtype=F64, device=g.device)
        results, phi = one_pass_head(g, hidden, weight, uniforms, inverse_temperature, chunk)
        token, found = results[:, 0].long(), results[:, 1:].contiguous().view(torch.float32)
        in_range = bool(((token >= 0) & (token < vocabulary)).all())
        g.say(f"{name}, tokens of the vocabulary", in_range)
        if not in_range:
            continue
        wide = weight.to(F64)
        logprobs = torch.log_softmax((hidden.to(F64) @ wide.t()) * inverse_temperature, -1)
        p = logprobs.exp()
        expected = torch.stack([logprobs.gather(1, token[:, None])[:, 0], -(p * logprobs).sum(-1)], 1)
        worst = (found - expected).abs().max().item()
        g.say(f"{name}, log-probability and entropy", worst < 2e-3, f"{worst:.1e}")
        g.compare(f"{name}, features", phi=(phi, wide[token] - p @ wide))
        # The tile is drawn by the tiles' masses, and the token by the masses within it.
        tiles = divided(vocabulary, TILE)
        of_tiles = torch.nn.functional.pad(p, (0, tiles * TILE - vocabulary)).view(n, tiles, TILE)
        masses = of_tiles.sum(-1).cumsum(-1)
        tile = (masses > uniforms[:, 1:] * masses[:, -1:]).int().argmax(-1)
        inside = of_tiles[torch.arange(n, device=g.device), tile].cumsum(-1)
        place = (inside > uniforms[:, :1] * inside[:, -1:]).int().argmax(-1)
        same = (tile * TILE + place == token).float().mean().item()
        g.say(f"{name}, draws", same > 0.97, f"{same:.3f} are those of float64")
        if vocabulary > 100_000:
            g.time("one decode step's head, 256 rows, with features", lambda: one_pass_head(
                g, hidden, weight, uniforms, inverse_temperature, chunk, wait=False), operations=4 * n * d * vocabulary, repeat=5)
    sums, phi = g.random(5, 33, dtype=torch.float32), g.random(3, 33, dtype=torch.float32)
    index, alpha = [3, 0, 4], [0.5, 0.0, -1.0]
    expected = sums.to(F64)
    expected[index] += torch.tensor(alpha, dtype=F64, device=g.device)[:, None] * phi.to(F64)
    g.launch("one_pass_head", "head_add_features", 3, 256, phi, g.integers(index), torch.tensor(alpha, device=g.device), sums, 33,
             bf16=False)
    g.compare("head_add_features", sums=(sums, expected))


ONE = 2**62


def truncated_reference(logits, inverse_temperature, top_k, top_p):
    """Probabilities of the tokens that stay, in float64."""
    p = torch.softmax(logits.to(F64) * inverse_temperature, -1)
    order = torch.argsort(p, dim=-1, descending=True, stable=True)
    likely = p.gather(1, order)
    rank = torch.arange(p.shape[1], device=p.device)[None]
    stays = (rank < (top_k or p.shape[1])) & (likely.cumsum(-1) - likely < (top_p or 2.0))
    kept = torch.zeros_like(p).scatter_(1, order, likely * stays)
    return kept / kept.sum(-1, keepdim=True)


def truncated(g):
    inverse_temperature = 1 / 0.8
    for n, vocabulary in [(3, 19), (2, 1300)] if g.emulated else [(3, 19), (70, 5000), (256, 151936)]:
        for top_k, top_p in [(5, None), (None, 0.9), (50, 0.5)]:
            name = f"truncated {n}x{vocabulary} k {top_k} p {top_p}"
            logits, uniforms = g.random(n, vocabulary, dtype=torch.float32, scale=6), torch.rand(n, dtype=F64, device=g.device)
            # Rows of a trained model have a few likely tokens.
            logits[:, ::max(vocabulary // 7, 1)] += 8
            p = truncated_reference(logits, inverse_temperature, top_k, top_p)
            weights, results = g.empty(n, vocabulary), torch.zeros(n, 3, dtype=torch.int32, device=g.device)
            enough = U64(top_p * ONE) if top_p else U64(2**64 - 1)
            least = (1 - top_p) / vocabulary if top_p else 0.0
            g.launch("truncated", "truncated_draw", n, 512, logits, weights, uniforms, results, vocabulary,
                     top_k or 2**32 - 1, enough, least, inverse_temperature, 1)
            g.compare(name, p=(weights, p))
            token, found = results[:, 0].long(), results[:, 1:].contiguous().view(torch.float32)
            masses = p.cumsum(-1)
            same = ((masses > uniforms[:, None] * masses[:, -1:]).int().argmax(-1) == token).float().mean().item()
            g.say(f"{name}, draws", same > 0.97, f"{same:.3f} are those of float64")
            logprob = p.gather(1, token[:, None])[:, 0].log()
            expected = torch.stack([logprob, -torch.special.xlogy(p, p).sum(-1)], 1)
            worst = (found - expected).abs().max().item()
            g.say(f"{name}, log-probability and entropy", worst < 1e-4, f"{worst:.1e}")
        logits = g.random(n, vocabulary, dtype=torch.float32, scale=6)
        results = torch.zeros(n, 3, dtype=torch.int32, device=g.device)
        g.launch("truncated", "likeliest", n, 512, logits, results, vocabulary)
        highest = logits.max(-1, keepdim=True).values
        g.say(f"likeliest {n}x{vocabulary}", bool((results[:, 0].long() == (logits == highest).int().argmax(-1)).all()))
    if g.timing:
        one = torch.zeros(n, 1, dtype=g.dtype, device=g.device)
        g.time(f"truncated_draw {n}x{vocabulary}, top-p", lambda: g.launch(
            "truncated", "truncated_draw", n, 512, logits, one, uniforms, results, vocabulary, 2**32 - 1, U64(0.95 * ONE),
            0.05 / vocabulary, 1.0, 0, wait=False), bytes=logits.nbytes)
        g.time(f"likeliest {n}x{vocabulary}", lambda: g.launch(
            "truncated", "likeliest", n, 512, logits, results, vocabulary, wait=False), bytes=logits.nbytes)


def attention_reference(q, k, v, grad, lengths, window, scale):
    """Output, log of the sums, and gradients in float64."""
    tokens, heads, kv_heads = len(q), q.shape[1], k.shape[1]
    wide_q, wide_k, wide_v = (x.to(F64).requires_grad_() for x in (q, k, v))
    segment = torch.repeat_interleave(torch.arange(len(lengths), device=q.device), torch.tensor(lengths, device=q.device))
    at = torch.arange(tokens, device=q.device)
    sees = (segment[:, None] == segment[None]) & (at[:, None] >= at[None]) & (at[:, None] - at[None] < window)
    repeated_k, repeated_v = (x.repeat_interleave(heads // kv_heads, 1) for x in (wide_k, wide_v))
    scores = torch.einsum("ihd,jhd->hij", wide_q, repeated_k) * scale
    scores = scores.masked_fill(~sees, -INFINITY)
    out = torch.einsum("hij,jhd->ihd", scores.softmax(-1), repeated_v)
    out.backward(grad.to(F64))
    return out.detach(), scores.detach().logsumexp(-1).t(), wide_q.grad, wide_k.grad, wide_v.grad


def attention(g):
    shapes = [(16, 8, 128, NO_WINDOW), (8, 4, 32, NO_WINDOW), (8, 4, 32, 50), (4, 1, 64, NO_WINDOW), (3, 1, 16, 7)]
    if not g.bf16 or g.emulated:
        shapes = [(8, 4, 32, NO_WINDOW), (3, 1, 16, NO_WINDOW), (3, 1, 16, 7)]
    for heads, kv_heads, head_dim, window in shapes:
        lengths = [1, 0, 17, 33, 65] if g.emulated else [1, 63, 64, 65, 0, 129, 300, 17]
        tokens, scale, tiles = sum(lengths), head_dim**-0.5, divided(max(lengths), 64)
        offsets = g.integers(torch.tensor([0] + lengths).cumsum(0))
        q, grad = g.random(tokens, heads, head_dim, scale=2), g.random(tokens, heads, head_dim)
        k, v = (g.random(tokens, kv_heads, head_dim, scale=2) for _ in range(2))
        out, dq, dk, dv = g.empty(*q.shape), g.empty(*q.shape), g.empty(*k.shape), g.empty(*k.shape)
        lse, delta = g.floats(tokens, heads), g.floats(tokens, heads)
        sizes = (tiles, heads, kv_heads, scale, window)

        def launch(kernel, blocks, *arguments):
            g.launch("attention", kernel, blocks, 128, *arguments, head_dim=head_dim)

        launch("attention_forward", (len(lengths) * tiles, heads), q, k, v, offsets, out, lse, *sizes)
        launch("attention_delta", divided(tokens * heads, 4), out, grad, delta, tokens * heads)
        launch("attention_backward_queries", (len(lengths) * tiles, heads), q, k, v, grad, lse, delta, offsets, dq, *sizes)
        launch("attention_backward_keys", (len(lengths) * tiles, kv_heads), q, k, v, grad, lse, delta, offsets, dk, dv, *sizes)
        names, found = ["out", "lse", "dq", "dk", "dv"], [out, lse, dq, dk, dv]
        expected = attention_reference(q, k, v, grad, lengths, window, scale)
        seen = "" if window == NO_WINDOW else f" window {window}"
        g.compare(f"attention {heads}/{kv_heads}x{head_dim}{seen}", **dict(zip(names, zip(found, expected))))
    if g.timing and g.bf16:
        heads, kv_heads, head_dim = 16, 8, 128
        for n, each in [(16, 384), (4, 1200)]:
            tokens, tiles, scale = n * each, divided(each, 64), head_dim**-0.5
            offsets = g.integers(torch.arange(0, tokens + 1, each))
            q, k, v = g.random(tokens, heads, head_dim), *(g.random(tokens, kv_heads, head_dim) for _ in range(2))
            out, dq, dk, dv = (torch.empty_like(x) for x in (q, q, k, v))
            lse, delta = torch.empty(tokens, heads, device=g.device), torch.zeros(tokens, heads, device=g.device)
            sizes = (tiles, heads, kv_heads, scale, NO_WINDOW)
            operations = 2.0 * tokens * each * heads * head_dim

            def launch(kernel, own_heads, *arguments):
                g.launch("attention", kernel, (n * tiles, own_heads), 128, *arguments, head_dim=head_dim, wait=False)

            g.time(f"attention_forward {n} x {each}", lambda: launch(
                "attention_forward", heads, q, k, v, offsets, out, lse, *sizes), operations=operations)
            g.time(f"attention_backward_queries {n} x {each}", lambda: launch(
                "attention_backward_queries", heads, q, k, v, q, lse, delta, offsets, dq, *sizes), operations=1.5 * operations)
            g.time(f"attention_backward_keys {n} x {each}", lambda: launch(
                "attention_backward_keys", kv_heads, q, k, v, q, lse, delta, offsets, dk, dv, *sizes), operations=2 * operations)


def decode_attention(g, q, keys, values, starts, end, window, splits, out, partial, wait=True):
    (rows, heads, head_dim), (kv_heads, slots) = q.shape, keys.shape[1:3]
    sizes = dict(head_dim=head_dim, group=heads // kv_heads, wait=wait)
    g.launch("decode_attention", "decode_attention", (rows * kv_heads, splits), 128, q, keys, values, starts, out, partial, kv_heads,
             slots, end, head_dim**-0.5, window, **sizes)
    if splits > 1:
        g.launch("decode_attention", "decode_attention_merge", rows * heads, 128, partial, out, splits, **sizes)


def decode(g):
    shapes = [(16, 8, 128), (8, 4, 32), (4, 1, 64), (32, 8, 128)]
    for heads, kv_heads, head_dim in shapes[1:3] if g.emulated else shapes:
        rows, slots, end = 5, 700, 650
        q = g.random(rows, heads, head_dim)
        keys, values = (g.random(rows, kv_heads, slots, head_dim) for _ in range(2))
        starts = torch.tensor([0, 1, 100, 512, 649], device=g.device)
        # What is not to be read is NaN.
        slot = torch.arange(slots, device=g.device)[None]
        unread = ((slot < starts[:, None]) | (slot >= end))[:, None, :, None]
        keys, values = (x.masked_fill(unread, float("nan")) for x in (keys, values))
        wide = [x[:, :, :end].nan_to_num().to(F64).repeat_interleave(heads // kv_heads, 1) for x in (keys, values)]
        for window in [NO_WINDOW, 130]:
            scores = torch.einsum("rhd,rhsd->rhs", q.to(F64), wide[0]) * head_dim**-0.5
            hidden = (slot[:, :end] < starts[:, None]) | (slot[:, :end] < end - window)
            expected = torch.einsum("rhs,rhsd->rhd", scores.masked_fill(hidden[:, None], -INFINITY).softmax(-1), wide[1])
            for splits in [1, 4]:
                out, partial = g.empty(rows, heads, head_dim), g.floats(rows * heads * splits * (head_dim + 2))
                decode_attention(g, q, keys, values, g.integers(starts), end, window, splits, out, partial)
                seen = "" if window == NO_WINDOW else f" window {window}"
                g.compare(f"decode {heads}/{kv_heads}x{head_dim}{seen} in {splits}", out=(out, expected))
    if g.timing and g.bf16:
        heads, kv_heads, head_dim = 16, 8, 128
        for rows, end in [(256, 256), (256, 1024), (32, 1024)]:
            q, starts = g.random(rows, heads, head_dim), g.integers([0] * rows)
            keys, values = (g.random(rows, kv_heads, end, head_dim) for _ in range(2))
            splits = max(1, min(divided(512, rows * kv_heads), divided(end, 128)))
            out = torch.empty_like(q)
            partial = torch.empty(rows * heads * splits * (head_dim + 2), device=g.device)
            g.time(f"decode_attention {rows} rows, {end} slots", lambda: decode_attention(
                g, q, keys, values, starts, end, NO_WINDOW, splits, out, partial, wait=False), bytes=keys.nbytes + values.nbytes)


GROUPS = [norms, rotary, rows, gated, nf4, finite, optimizer, token_head, head, truncated, attention, decode]


def every_kernel_is_here():
    """Fails where a source has a kernel that no group launches."""
    with open(os.path.abspath(__file__)) as file:
        text = file.read()
    kernels = []
    for path in sorted(glob.glob(os.path.join(SOURCES, "*.cu"))):
        with open(path) as file:
            kernels += re.findall(r'extern "C" __global__ void(?:\s+__launch_bounds__\([^)]*\))?\s+(\w+)\(', file.read())
    missing = [kernel for kernel in kernels if f'"{re.sub("^(swiglu|geglu)_", "{name}_", kernel)}"' not in text]
    if missing:
        sys.exit(f"FAIL kernels without a check: {', '.join(missing)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="groups, with commas between them: " + ", ".join(group.__name__ for group in GROUPS))
    parser.add_argument("--types", default="bf16,f32", help="types, with a comma between them")
    parser.add_argument("--emulate", action="store_true", help="on the CPU, by the emulator")
    parser.add_argument("--time", action="store_true", help="times kernels, too")
    arguments = parser.parse_args()
    only = [name for name in arguments.only.split(",") if name]
    unknown = set(only) - {group.__name__ for group in GROUPS}
    if unknown:
        parser.error(f"there is no group {', '.join(sorted(unknown))}")
    if arguments.emulate and arguments.time:
        parser.error("times of the emulator say nothing")
    every_kernel_is_here()
    torch.manual_seed(0)
    machine = Emulator() if arguments.emulate else Gpu()
    for group in GROUPS:
        if only and group.__name__ not in only:
            continue
        for type_name in arguments.types.split(","):
            checks = Group(machine, type_name == "bf16", arguments.time)
            try:
                group(checks)
            except Exception as error:  # the others are still to be tried
                lines = str(error).splitlines() or [""]
                checks.say(group.__name__, False, f"{type(error).__name__}: {lines[-1][:160]}")
                if not arguments.emulate:
                    sys.exit(1)  # the context is of no use any more
    sys.exit(Group.failed > 0)


if __name__ == "__main__":
    main()
