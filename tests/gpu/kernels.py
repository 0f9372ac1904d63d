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
        """Whole numbers of 32 bits; those from 2^31 on, which kernels take without a sign, become negative ones."""
        return torch.as_tensor(values, dtype=torch.int64, device=self.device).to(torch.int32)

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


ACTIVATIONS = {"swiglu": torch.nn.functional.silu, "geglu": lambda x: torch.nn.functional.gelu(x, approximate="tanh")}


def gated(g):
    for name, function in ACTIVATIONS.items():
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


BLOCK, FEWEST_QUERIES, WHOLE = 64, 1024, 2**32 - 1


def segments_of(parts):
    """Number of the first token, length, and the same of the parent, for lengths with the number of the parent."""
    segments, at = [], 0
    for length, parent in parts:
        segments.append((at, length, *(segments[parent][:2] if parent is not None else (0, 0))))
        at += length
    return segments


def attention_blocks(parts):
    """Lists as attention_blocks.rs makes them: queries, keys, runs, sums, and how many slots are used."""
    queries, keys, runs, sums, slots = [], [], [], [], 0
    segments = segments_of(parts)
    for number, (start, length, prefix_start, prefix) in enumerate(segments):
        for first in range(prefix, prefix + length, BLOCK):
            queries.append([first, prefix + length, prefix, prefix_start, (start - prefix) % 2**32])
        # Runs of queries that see these keys, in chunks.
        most, begin, count, chunks = max(length, FEWEST_QUERIES), len(runs), length, []
        runs.append([start, 0, length])
        for branch_start, branch_length in [s[:2] for s, (_, parent) in zip(segments, parts) if parent == number]:
            at = 0
            while at < branch_length:
                if count == most:
                    chunks.append((begin, len(runs)))
                    begin, count = len(runs), 0
                some = min(branch_length - at, most - count)
                runs.append([branch_start + at, length + at, some])
                at, count = at + some, count + some
        chunks.append((begin, len(runs)))
        for first in range(0, length, BLOCK):
            for chunk, (begin, end) in enumerate(chunks):
                keys.append([first, length, start, begin, end, WHOLE if len(chunks) == 1 else slots + chunk])
            if len(chunks) > 1:
                sums.append([start + first, min(BLOCK, length - first), slots, len(chunks)])
                slots += len(chunks)
    queries.sort(key=lambda item: -item[0])
    keys.sort(key=lambda item: -sum(min(count, max(place + count - item[0], 0)) for _, place, count in runs[item[3]:item[4]]))
    return queries, keys, runs, sums, slots


def attention_launches(g, q, k, v, grad, parts, window, wait=True):
    """The kernels of both passes, in order, as names, what they read and write, and launches; and the results."""
    (tokens, heads, head_dim), kv_heads = q.shape, k.shape[1]
    *lists, slots = attention_blocks(parts)
    queries, keys, runs, sums = map(g.integers, lists)
    out, dq, dk, dv = (g.empty(*x.shape) for x in (q, q, k, v))
    lse, delta = g.floats(tokens, heads), g.floats(tokens, heads)
    partials = g.floats(max(slots * 2 * BLOCK * kv_heads * head_dim, 1))
    sizes = (heads, kv_heads, head_dim**-0.5, window)
    launches = [
        ("attention_forward", (heads, len(queries)), 128, (q, k, v, queries, out, lse, *sizes)),
        ("attention_delta", (divided(tokens * heads, 4), 1), 128, (out, grad, delta, tokens * heads)),
        ("attention_backward_queries", (heads, len(queries)), 128, (q, k, v, grad, lse, delta, queries, dq, *sizes)),
        ("attention_backward_keys", (kv_heads, len(keys)), 128,
         (q, k, v, grad, lse, delta, keys, runs, dk, dv, partials, *sizes)),
    ]
    if slots:
        launches.append(("attention_sum", (BLOCK, len(sums)), 256, (partials, sums, dk, dv, kv_heads)))

    def launch(kernel, blocks, threads, arguments):
        return lambda: g.launch("attention", kernel, blocks, threads, *arguments, head_dim=head_dim, wait=wait)

    launches = [(kernel, [x for x in arguments if isinstance(x, torch.Tensor)], launch(kernel, blocks, threads, arguments))
                for kernel, blocks, threads, arguments in launches]
    return launches, dict(out=out, lse=lse, dq=dq, dk=dk, dv=dv)


def attention_reference(q, k, v, grad, parts, window):
    """Output, log of the sums, and gradients in float64."""
    heads, kv_heads, scale = q.shape[1], k.shape[1], q.shape[2]**-0.5
    wide_q, wide_k, wide_v = (x.to(F64).requires_grad_() for x in (q, k, v))
    outs, logs = [], []
    for start, length, prefix_start, prefix in segments_of(parts):
        own, shared = slice(start, start + length), slice(prefix_start, prefix_start + prefix)
        keys, values = (torch.cat([x[shared], x[own]]).repeat_interleave(heads // kv_heads, 1) for x in (wide_k, wide_v))
        place = torch.arange(prefix + length, device=q.device)
        behind = place[prefix:, None] - place[None]
        scores = torch.einsum("ihd,jhd->hij", wide_q[own], keys) * scale
        scores = scores.masked_fill((behind < 0) | (behind >= window), -INFINITY)
        outs.append(torch.einsum("hij,jhd->ihd", scores.softmax(-1), values))
        logs.append(scores.detach().logsumexp(-1).t())
    out = torch.cat(outs)
    out.backward(grad.to(F64))
    return dict(out=out.detach(), lse=torch.cat(logs), dq=wide_q.grad, dk=wide_k.grad, dv=wide_v.grad)


def attention_cases(g):
    """Lengths with the number of the parent, by name; and which heads, key/value heads, head sizes and windows go with them."""
    def alone(*lengths):
        return [(length, None) for length in lengths]

    cases = {
        # Around the sizes of fragments, tiles and blocks.
        "alone": alone(1, 0, 17, 33, 65) if g.emulated else alone(1, 63, 64, 65, 0, 129, 300, 17),
        # An empty branch, an empty prompt, a prompt within a tile.
        "short": [(13, None), (65, 0), (0, 0), (16, 0), (1, 0), (0, None), (9, 5)],
        # Branches apart from their prompt; two prompts, one of a whole tile.
        "mixed": [(64, None), (3, None), (70, 0), (5, 1), (33, 0), (40, None)],
        # A prompt longer than two blocks.
        "long": [(131, None), (7, 0), (66, 0), (0, None), (9, 3)],
        # So many branches, or so long a one, that sums over queries are in several parts.
        "many": [(70, None)] + [(i % 5 * 17, 0) for i in range(40 if g.emulated else 200)],
        "a long branch": [(30, None), (1100, 0), (2, None)],
        # Two groups of a real size.
        "groups": [(256, None)] + [(100 + 29 * i, 0) for i in range(9)] + [(130, None)] + [(300 - 31 * i, 10) for i in range(9)],
    }
    if g.emulated:
        shapes = [("alone", 8, 4, 32, NO_WINDOW), ("alone", 3, 1, 16, 7), ("short", 3, 1, 6, NO_WINDOW), ("short", 2, 1, 16, 20),
                  ("mixed", 2, 1, 40, 68), ("mixed", 2, 2, 64, NO_WINDOW), ("many", 2, 1, 16, NO_WINDOW), ("many", 1, 1, 16, 30),
                  ("a long branch", 1, 1, 8, 1010), ("long", 2, 1, 128, NO_WINDOW), ("long", 1, 1, 128, 100),
                  ("long", 2, 1, 256, 133)]
    else:
        shapes = [(name, *heads, window) for name, windows in [
            ("alone", [NO_WINDOW, 50]), ("short", [NO_WINDOW, 20]), ("mixed", [NO_WINDOW, 68]), ("long", [NO_WINDOW, 100]),
            ("many", [NO_WINDOW, 30]), ("a long branch", [NO_WINDOW, 1010]), ("groups", [NO_WINDOW, 200]),
        ] for heads in [(16, 8, 128), (8, 4, 32), (4, 1, 64), (3, 1, 6), (2, 1, 256)] for window in windows]
    # Heads of 256 are for bf16 alone.
    return [(name, cases[name], *shape) for name, *shape in shapes if g.bf16 or shape[2] <= 128]


def attention(g):
    for name, parts, heads, kv_heads, head_dim, window in attention_cases(g):
        tokens = sum(length for length, _ in parts)
        q, grad = g.random(tokens, heads, head_dim, scale=2), g.random(tokens, heads, head_dim)
        k, v = (g.random(tokens, kv_heads, head_dim, scale=2) for _ in range(2))
        launches, found = attention_launches(g, q, k, v, grad, parts, window)
        for _, _, launch in launches:
            launch()
        expected = attention_reference(q, k, v, grad, parts, window)
        seen = "" if window == NO_WINDOW else f" window {window}"
        g.compare(f"attention, {name}, {heads}/{kv_heads}x{head_dim}{seen}", **{x: (found[x], expected[x]) for x in found})
    if g.timing and g.bf16:
        # Separate sequences, and the work of docs/cuda-kernels.md: a prompt and 63 responses, with the heads of two models.
        shared = [(256, None)] + [(256, 0)] * 63
        for name, heads, parts in [("16 x 384", 16, [(384, None)] * 16), ("4 x 1200", 16, [(1200, None)] * 4),
                                   ("256 + 63 x 256", 16, shared), ("256 + 63 x 256", 32, shared)]:
            kv_heads, head_dim, tokens = 8, 128, sum(length for length, _ in parts)
            q, grad = g.random(tokens, heads, head_dim), g.random(tokens, heads, head_dim)
            k, v = (g.random(tokens, kv_heads, head_dim) for _ in range(2))
            launches, _ = attention_launches(g, q, k, v, grad, parts, NO_WINDOW, wait=False)
            pairs = sum(length * prefix + length * (length + 1) // 2 for _, length, _, prefix in segments_of(parts))
            products = {"attention_forward": 2, "attention_backward_queries": 3, "attention_backward_keys": 4}
            for kernel, tensors, launch in launches:
                bytes = sum(x.nbytes for x in tensors)
                if kernel == "attention_sum":  # of the gradients it writes those of the prompt
                    bytes = tensors[0].nbytes + 2 * parts[0][0] * k[0].nbytes
                g.time(f"{kernel} {name}, {heads}/{kv_heads}", launch, bytes=bytes,
                       operations=2.0 * products.get(kernel, 0) * pairs * heads * head_dim)


def shares(enough, blocks, seen, fewest):
    """Among how many blocks work is divided, as decode_attention.rs does it."""
    return max(min(divided(enough, max(blocks, 1)), divided(seen, fewest)), 1)


class Decoding:
    """A step's attention: queries (rows, heads, head_dim), a prompt per group of rows, and own slots of which `end` are filled.

    Groups are tokens of the prompt and rows. Splits are those of decode_attention.rs where none are given."""

    def __init__(self, g, heads, kv_heads, head_dim, groups, slots, end, window=NO_WINDOW, splits=None, gap=0, wait=True):
        self.g, self.groups, self.end, self.window, self.wait = g, groups, end, window, wait
        self.rows, self.tokens = sum(rows for _, rows in groups), sum(tokens + gap for tokens, _ in groups)
        self.heads, self.kv_heads, self.head_dim, self.slots = heads, kv_heads, head_dim, slots
        self.q = g.random(self.rows, heads, head_dim, scale=2)
        self.prompts = [g.random(max(self.tokens, 1), kv_heads, head_dim, scale=2) for _ in range(2)]
        self.own = [g.random(self.rows, kv_heads, slots, head_dim, scale=2) for _ in range(2)]
        # The last prompt comes first in memory, and there may be a gap before each.
        self.bounds, token, row = [], self.tokens, 0
        for tokens, rows in groups:
            self.bounds.append([token - tokens, token, row, row + rows])
            token, row = token - tokens - gap, row + rows
        self.start, self.unseen = max(end - window, 0), max(window - end, 0)
        group = heads // kv_heads
        queries = max(rows for _, rows in groups) * group
        self.warps = 8 if queries > 64 else 4
        self.blocks = divided(queries, self.warps * 16)
        longest = max(tokens for tokens, _ in groups)
        of_prompt, self.splits = splits or (
            shares(256, len(groups) * self.blocks * kv_heads, min(longest, self.unseen), 64),
            shares(512, self.rows * kv_heads, end - self.start, 128))
        self.of_prompt = of_prompt if self.unseen else 0
        self.parts = self.of_prompt + (self.splits if self.splits > 1 else 0)
        self.partial = g.floats(max(self.rows * heads * self.parts * (head_dim + 2), 1))
        self.out, self.device_bounds = g.empty(self.rows, heads, head_dim), g.integers(self.bounds)
        self.scale = head_dim**-0.5

    def forget_the_rest(self):
        """Makes NaN of what is not to be read."""
        bare = torch.ones(len(self.prompts[0]), dtype=torch.bool, device=self.g.device)
        for first, end, _, _ in self.bounds:
            bare[max(first, end - self.unseen):end] = False
        for x in self.prompts:
            x[bare] = float("nan")
        for x in self.own:
            x[:, :, :self.start] = float("nan")
            x[:, :, self.end:] = float("nan")

    def launch(self, kernel, blocks, threads, *arguments):
        self.g.launch("decode_attention", kernel, blocks, threads, *arguments, head_dim=self.head_dim,
                      group=self.heads // self.kv_heads, wait=self.wait)

    def of_prompts(self):
        blocks = (len(self.groups) * self.blocks * self.of_prompt, self.kv_heads)
        self.launch("prompt_attention", blocks, 32 * self.warps, self.q, *self.prompts, self.device_bounds, self.partial,
                    self.kv_heads, self.blocks, self.of_prompt, self.parts, self.end, self.scale, self.window)

    def of_own(self):
        self.launch("decode_attention", (self.rows * self.kv_heads, self.splits), 128, self.q, *self.own, self.out, self.partial,
                    self.kv_heads, self.slots, self.start, self.end, self.scale, self.of_prompt, self.parts)

    def merge(self):
        self.launch("decode_attention_merge", self.rows * self.heads, 128, self.partial, self.out, self.parts)

    def run(self):
        if self.of_prompt:
            self.of_prompts()
        self.of_own()
        if self.splits > 1:
            self.merge()

    def expected(self):
        outs, group = [], self.heads // self.kv_heads
        for first, end, row, end_row in self.bounds:
            shared = slice(max(first, end - self.unseen), end)
            keys, values = (torch.cat([
                prompt[shared].permute(1, 0, 2)[None].expand(end_row - row, -1, -1, -1), own[row:end_row, :, self.start:self.end],
            ], 2).to(F64).repeat_interleave(group, 1) for prompt, own in zip(self.prompts, self.own))
            scores = torch.einsum("rhd,rhsd->rhs", self.q[row:end_row].to(F64), keys) * self.scale
            outs.append(torch.einsum("rhs,rhsd->rhd", scores.softmax(-1), values))
        return torch.cat(outs)


def decode(g):
    groups, few = [(300, 20), (1, 2), (0, 1), (97, 1)], [(5, 2), (1, 1), (0, 1), (37, 3)]
    own = [None, (1, 1), (3, 4)]
    if g.emulated:
        # Heads, key/value heads, size of heads, groups, slots, filled ones, windows, splits.
        cases = [(4, 2, 8, few, 10, 8, [NO_WINDOW], own), (3, 1, 40, few, 70, 70, [NO_WINDOW], own),
                 (8, 4, 32, few, 300, 260, [NO_WINDOW, 270, 130], [None, (2, 3)]), (8, 1, 128, [(40, 2)], 9, 5, [NO_WINDOW], own),
                 (7, 1, 64, few, 20, 17, [NO_WINDOW], own), (8, 1, 256, [(3, 1)], 5, 4, [NO_WINDOW], [(1, 1)]),
                 (2, 1, 256, [(33, 2), (3, 1)], 20, 17, [NO_WINDOW], [(1, 1), (3, 2)]),
                 # Windows that see all, some and nothing of prompts; and the token alone.
                 (2, 1, 16, few, 40, 33, [50, 35, 34, 33, 32, 9, 1], [(1, 1), (3, 2)])]
        # Groups that fill a warp's queries, two's, four's, eight's, and several blocks'.
        cases += [(2, 1, 16, [(tokens, rows), (70, 1)], 3, 2, [NO_WINDOW], [(1, 1), (2, 1)])
                  for rows, tokens in [(8, 64), (9, 65), (17, 130), (33, 1), (65, 63)]]
    else:
        cases = [(*heads, groups, 700, 650, [NO_WINDOW, 800, 651, 650, 130, 1], own)
                 for heads in [(16, 8, 128), (8, 4, 32), (4, 1, 64), (32, 8, 128), (8, 1, 128), (7, 1, 64), (3, 1, 40),
                               (2, 1, 256), (8, 1, 256)]]
        cases += [(*heads, [(tokens, rows), (70, 1)], 3, 2, [NO_WINDOW, 40], [None, (1, 1), (2, 1)])
                  for heads in [(2, 1, 16), (16, 8, 128)] for rows, tokens in [(8, 64), (9, 65), (17, 130), (33, 1), (65, 63), (130, 700)]]
    for heads, kv_heads, head_dim, groups, slots, end, windows, splits in cases:
        for window in windows:
            done = set()
            for split in splits:
                step = Decoding(g, heads, kv_heads, head_dim, groups, slots, end, window, split, gap=3)
                if (step.of_prompt, step.splits) in done:
                    continue
                done.add((step.of_prompt, step.splits))
                step.forget_the_rest()
                step.run()
                seen = "" if window == NO_WINDOW else f" window {window}"
                name = f"decode {heads}/{kv_heads}x{head_dim}, {step.rows} rows{seen}, in {step.of_prompt} + {step.splits}"
                g.compare(name, out=(step.out, step.expected()))
    if g.timing and g.bf16:
        # The work of docs/cuda-kernels.md, with the heads of two models; long prompts; and few rows, whose slots are divided.
        for heads, groups, end in [(16, [(200, 16)] * 16, 500), (32, [(200, 16)] * 16, 500), (16, [(1000, 16)] * 16, 500),
                                   (16, [(200, 16)] * 2, 1000)]:
            kv_heads, head_dim = 8, 128
            step = Decoding(g, heads, kv_heads, head_dim, groups, 2 * end, end, wait=False)
            about = f"{step.rows} rows, {heads}/{kv_heads}"
            operations = 4.0 * heads * head_dim
            slots, partial = step.rows * kv_heads * end * head_dim * step.q.element_size(), step.rows * heads * (head_dim + 2) * 4
            g.time(f"prompt_attention {groups[0][0]} tokens, {about}", step.of_prompts,
                   bytes=step.q.nbytes + 2 * step.prompts[0].nbytes + step.of_prompt * partial,
                   operations=operations * sum(tokens * rows for tokens, rows in groups))
            # Where slots are divided it writes parts, and otherwise it reads those of prompts.
            parts = step.splits if step.splits > 1 else step.of_prompt
            g.time(f"decode_attention {end} slots, {about}", step.of_own,
                   bytes=step.q.nbytes + 2 * slots + parts * partial + (step.out.nbytes if step.splits == 1 else 0),
                   operations=operations * step.rows * end)
            if step.splits > 1:
                g.time(f"decode_attention_merge {step.parts} parts, {about}", step.merge, bytes=step.partial.nbytes + step.out.nbytes)
            del step


def place_heads(g, dims, norm, rotates, offset, rows, slots, slot):
    """What place_heads is given, and a function that launches it. `norm` is over a head, over all of them, or left out."""
    heads, kv_heads, head_dim = dims
    half, positions = head_dim // 2, 4096
    joined = g.random(rows, heads + 2 * kv_heads, head_dim)
    widths = [{None: 0, "a head": head_dim, "all heads": count * head_dim}[norm] for count in (heads, kv_heads)]
    weights = [g.random(width) if width else g.empty(1) for width in widths]
    rates = 1e4 ** (-torch.arange(half, device=g.device, dtype=torch.float32) / half)
    angles = torch.arange(positions, device=g.device, dtype=torch.float32)[:, None] * rates[None]
    table = torch.stack([angles.cos(), angles.sin()]).contiguous() if rotates else g.floats(1)
    at = g.integers(torch.arange(rows) * 977 % positions)
    q, caches = g.empty(rows, heads, head_dim), [g.random(rows, kv_heads, slots, head_dim) for _ in range(2)]
    lanes = min(1 << (divided(half, g.pack) - 1).bit_length(), 32)
    blocks = divided(rows * (heads + 2 * kv_heads) * lanes, 128)

    def launch(wait=True):
        g.launch("decode_layer", "place_heads", blocks, 128, joined, *weights, table, at, q, *caches, rows, heads, kv_heads, half,
                 lanes, *widths, 1e-6, offset, positions if rotates else 0, slots, slot, wait=wait)

    return joined, weights, table, at, q, caches, launch


def layer(g):
    rows, slots, slot = 7, 5, 3
    shapes = [((4, 2, 18), "a head", True, 0.0), ((3, 1, 64), "all heads", True, 0.0), ((5, 5, 128), "a head", True, 1.0),
              ((2, 1, 256), "a head", False, 1.0), ((2, 2, 6), None, True, 0.0), ((2, 1, 600), None, False, 0.0),
              ((3, 2, 22), "all heads", True, 1.0), ((1, 1, 2), "a head", True, 0.0)]
    if not g.emulated:
        shapes += [((16, 8, 128), "a head", True, 0.0), ((32, 8, 128), "all heads", True, 0.0)]
    for dims, norm, rotates, offset in shapes:
        heads, kv_heads, head_dim = dims
        half = head_dim // 2
        joined, weights, table, at, q, caches, launch = place_heads(g, dims, norm, rotates, offset, rows, slots, slot)
        before = [x.clone() for x in caches]
        launch()
        wide = list(joined.to(F64).split([heads, kv_heads, kv_heads], 1))
        for i, weight in enumerate(weights if norm else []):
            together = wide[i].flatten(1) if norm == "all heads" else wide[i]
            normed = together * (together.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * (offset + weight.to(F64))
            wide[i] = normed.view(wide[i].shape)
        if rotates:
            cos, sin = (table[i][at.long()][:, None].to(F64) for i in (0, 1))
            for i in (0, 1):
                first, second = wide[i][..., :half], wide[i][..., half:]
                wide[i] = torch.cat([first * cos - second * sin, second * cos + first * sin], -1)
        name = f"place_heads {heads}/{kv_heads}x{head_dim}, norm {norm}{', turned' if rotates else ''}"
        g.compare(name, q=(q, wide[0]), keys=(caches[0][:, :, slot], wide[1]), values=(caches[1][:, :, slot], wide[2]))
        others = torch.arange(slots, device=g.device) != slot
        g.say(f"{name}, other slots", all(torch.equal(x[:, :, others], y[:, :, others]) for x, y in zip(caches, before)))
    for name, function in ACTIVATIONS.items():
        for n, width in [(9, 5), (9, 131), (3, 1096)] if g.emulated else [(9, 5), (9, 131), (256, 6144)]:
            joined, y = g.random(n, 2 * width, scale=4), g.empty(n, width)
            blocks = (divided(divided(width, g.pack), 128), n)
            g.launch("decode_layer", f"{name}_joined", blocks, 128, joined, y, width)
            gate, up = joined.to(F64).split(width, 1)
            g.compare(f"{name}_joined {n}x{width}", y=(y, function(gate) * up))
    if g.timing:
        for heads, kv_heads, width in [(16, 8, 6144), (32, 8, 9728)]:
            *_, joined, _, _, _, q, _, launch = place_heads(g, (heads, kv_heads, 128), "a head", True, 0.0, 256, 1000, 500)
            g.time(f"place_heads 256 rows, {heads}/{kv_heads}x128", lambda: launch(wait=False), bytes=2 * joined.nbytes)
            joined, y = g.random(256, 2 * width), g.empty(256, width)
            for name in ACTIVATIONS:
                g.time(f"{name}_joined 256x{width}", lambda: g.launch(
                    "decode_layer", f"{name}_joined", (divided(divided(width, g.pack), 128), 256), 128, joined, y, width, wait=False),
                    bytes=joined.nbytes + y.nbytes)


GROUPS = [norms, rotary, rows, gated, nf4, finite, optimizer, token_head, head, truncated, attention, decode, layer]


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
