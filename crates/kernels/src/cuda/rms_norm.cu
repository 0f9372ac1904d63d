// y = x r (offset + w) with r = 1 / sqrt(mean(x^2) + eps), row by row; a warp per row.

__device__ __forceinline__ float inverse_rms(const scalar* x, unsigned d, float eps) {
    float sum = 0.0f;
    for (unsigned i = threadIdx.x % WARP * PACK; i < d; i += WARP * PACK) {
        float values[PACK];
        load(values, x + i, d - i);
#pragma unroll
        for (int j = 0; j < PACK; j++) sum += values[j] * values[j];
    }
    return 1.0f / sqrtf(warp_sum(sum) / d + eps);
}

extern "C" __global__ void rms_norm_forward(const scalar* x, const scalar* weight, scalar* y, unsigned rows, unsigned d,
                                            float eps, float offset) {
    unsigned row = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
    if (row >= rows) return;
    x += (size_t)row * d;
    y += (size_t)row * d;
    float r = inverse_rms(x, d, eps);
    for (unsigned i = threadIdx.x % WARP * PACK; i < d; i += WARP * PACK) {
        float values[PACK], w[PACK];
        load(values, x + i, d - i);
        load(w, weight + i, d - i);
#pragma unroll
        for (int j = 0; j < PACK; j++) values[j] *= r * (offset + w[j]);
        store(y + i, values, d - i);
    }
}

// dx = r (w g - x r^2 mean(w g x)), with offset + w for w; keeps r for the weight's gradient.
extern "C" __global__ void rms_norm_backward_input(const scalar* x, const scalar* weight, const scalar* grad, scalar* dx,
                                                   float* scales, unsigned rows, unsigned d, float eps, float offset) {
    unsigned row = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
    if (row >= rows) return;
    x += (size_t)row * d;
    grad += (size_t)row * d;
    dx += (size_t)row * d;
    float r = inverse_rms(x, d, eps);
    float product = 0.0f;
    for (unsigned i = threadIdx.x % WARP * PACK; i < d; i += WARP * PACK) {
        float values[PACK], w[PACK], g[PACK];
        load(values, x + i, d - i);
        load(w, weight + i, d - i);
        load(g, grad + i, d - i);
#pragma unroll
        for (int j = 0; j < PACK; j++) product += (offset + w[j]) * g[j] * values[j];
    }
    float pull = r * r * r * warp_sum(product) / d;
    for (unsigned i = threadIdx.x % WARP * PACK; i < d; i += WARP * PACK) {
        float values[PACK], w[PACK], g[PACK];
        load(values, x + i, d - i);
        load(w, weight + i, d - i);
        load(g, grad + i, d - i);
#pragma unroll
        for (int j = 0; j < PACK; j++) values[j] = r * (offset + w[j]) * g[j] - values[j] * pull;
        store(dx + i, values, d - i);
    }
    if (threadIdx.x % WARP == 0) scales[row] = r;
}

#define LINES 8

// partial[chunk, column] = sum over the chunk's rows of g x r. Blocks of 32 columns by LINES rows at a time.
extern "C" __global__ void rms_norm_backward_weight(const scalar* x, const scalar* grad, const float* scales, float* partial,
                                                    unsigned rows, unsigned d, unsigned chunk) {
    __shared__ float sums[LINES][WARP];
    unsigned column = blockIdx.x * WARP + threadIdx.x % WARP, line = threadIdx.x / WARP;
    unsigned end = blockIdx.y * chunk + chunk;
    if (end > rows) end = rows;
    float sum = 0.0f;
    if (column < d) {
        for (unsigned row = blockIdx.y * chunk + line; row < end; row += LINES) {
            size_t at = (size_t)row * d + column;
            sum += widen(grad[at]) * widen(x[at]) * scales[row];
        }
    }
    sums[line][threadIdx.x % WARP] = sum;
    __syncthreads();
    if (line == 0 && column < d) {
        for (int i = 1; i < LINES; i++) sum += sums[i][threadIdx.x];
        partial[(size_t)blockIdx.y * d + column] = sum;
    }
}

// dw[column] = sum over chunks, in their order.
extern "C" __global__ void rms_norm_sum_chunks(const float* partial, scalar* dw, unsigned chunks, unsigned d) {
    unsigned column = blockIdx.x * blockDim.x + threadIdx.x;
    if (column >= d) return;
    float sum = 0.0f;
    for (unsigned chunk = 0; chunk < chunks; chunk++) sum += partial[(size_t)chunk * d + column];
    dw[column] = narrow(sum);
}
