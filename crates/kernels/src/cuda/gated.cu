// silu(gate) * up; PACK elements per thread.
extern "C" __global__ void swiglu_forward(const scalar* gate, const scalar* up, scalar* y, size_t n) {
    size_t i = ((size_t)blockIdx.x * blockDim.x + threadIdx.x) * PACK;
    if (i >= n) return;
    int count = left_of(n, i);
    float g[PACK], u[PACK];
    load(g, gate + i, count);
    load(u, up + i, count);
#pragma unroll
    for (int j = 0; j < PACK; j++) g[j] = g[j] / (1.0f + expf(-g[j])) * u[j];
    store(y + i, g, count);
}

// gelu(gate) * up by tanh: gate sigmoid(z) up, with z = 2 sqrt(2 / pi) (gate + 0.044715 gate^3).
#define OUTER 1.5957691216057308f
#define CUBIC 0.044715f

extern "C" __global__ void geglu_forward(const scalar* gate, const scalar* up, scalar* y, size_t n) {
    size_t i = ((size_t)blockIdx.x * blockDim.x + threadIdx.x) * PACK;
    if (i >= n) return;
    int count = left_of(n, i);
    float g[PACK], u[PACK];
    load(g, gate + i, count);
    load(u, up + i, count);
#pragma unroll
    for (int j = 0; j < PACK; j++) {
        float z = OUTER * g[j] * (1.0f + CUBIC * g[j] * g[j]);
        g[j] = g[j] / (1.0f + expf(-z)) * u[j];
    }
    store(y + i, g, count);
}

// d gate = grad up s (1 + gate (1 - s) z'), d up = grad gate s, with s = sigmoid(z).
extern "C" __global__ void geglu_backward(const scalar* gate, const scalar* up, const scalar* grad, scalar* d_gate,
                                          scalar* d_up, size_t n) {
    size_t i = ((size_t)blockIdx.x * blockDim.x + threadIdx.x) * PACK;
    if (i >= n) return;
    int count = left_of(n, i);
    float g[PACK], u[PACK], d[PACK];
    load(g, gate + i, count);
    load(u, up + i, count);
    load(d, grad + i, count);
#pragma unroll
    for (int j = 0; j < PACK; j++) {
        float square = CUBIC * g[j] * g[j];
        float s = 1.0f / (1.0f + expf(-OUTER * g[j] * (1.0f + square)));
        float slope = OUTER * (1.0f + 3.0f * square);
        float of_gate = d[j] * u[j] * s * (1.0f + g[j] * (1.0f - s) * slope);
        u[j] = d[j] * g[j] * s;
        g[j] = of_gate;
    }
    store(d_gate + i, g, count);
    store(d_up + i, u, count);
}

// d gate = grad up s (1 + gate (1 - s)), d up = grad gate s, with s = sigmoid(gate).
extern "C" __global__ void swiglu_backward(const scalar* gate, const scalar* up, const scalar* grad, scalar* d_gate,
                                           scalar* d_up, size_t n) {
    size_t i = ((size_t)blockIdx.x * blockDim.x + threadIdx.x) * PACK;
    if (i >= n) return;
    int count = left_of(n, i);
    float g[PACK], u[PACK], d[PACK];
    load(g, gate + i, count);
    load(u, up + i, count);
    load(d, grad + i, count);
#pragma unroll
    for (int j = 0; j < PACK; j++) {
        float s = 1.0f / (1.0f + expf(-g[j]));
        float of_gate = d[j] * u[j] * s * (1.0f + g[j] * (1.0f - s));
        u[j] = d[j] * g[j] * s;
        g[j] = of_gate;
    }
    store(d_gate + i, g, count);
    store(d_up + i, u, count);
}
