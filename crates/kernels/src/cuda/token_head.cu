// From logits z (rows, vocabulary), in float: log p(y) and entropy, and their gradient. One block per row.

#define THREADS 256

// Maximum of x = z / T, sum of e^(x - top), sum of (x - top) e^(x - top).
struct Moments {
    float top, sum, first;
};

__device__ __forceinline__ void add(Moments& all, float x) {
    if (x > all.top) {
        // Before the first element nothing has been summed.
        float shift = all.sum == 0.0f ? 0.0f : all.top - x, factor = expf(shift);
        all.first = factor * (all.first + shift * all.sum);
        all.sum *= factor;
        all.top = x;
    }
    float shift = x - all.top, e = expf(shift);
    all.sum += e;
    // A logit of minus infinity counts for nothing.
    if (e != 0.0f) all.first += shift * e;
}

__device__ __forceinline__ Moments merge(const Moments& a, const Moments& b) {
    Moments all;
    all.top = larger(a.top, b.top);
    float of_a = a.sum == 0.0f ? 0.0f : a.top - all.top, of_b = b.sum == 0.0f ? 0.0f : b.top - all.top;
    all.first = expf(of_a) * (a.first + of_a * a.sum) + expf(of_b) * (b.first + of_b * b.sum);
    all.sum = expf(of_a) * a.sum + expf(of_b) * b.sum;
    return all;
}

extern "C" __global__ void __launch_bounds__(THREADS)
    token_head_forward(const float* logits, const unsigned* targets, float* out, unsigned vocabulary, float inverse_temperature) {
    __shared__ Moments parts[THREADS / WARP];
    const float* row = logits + (size_t)blockIdx.x * vocabulary;
    Moments own = {MINUS_INFINITY, 0.0f, 0.0f};
    for (unsigned v = threadIdx.x; v < vocabulary; v += THREADS) add(own, row[v] * inverse_temperature);
    for (int d = WARP / 2; d > 0; d /= 2) {
        Moments other;
        other.top = __shfl_xor_sync(FULL, own.top, d);
        other.sum = __shfl_xor_sync(FULL, own.sum, d);
        other.first = __shfl_xor_sync(FULL, own.first, d);
        own = merge(own, other);
    }
    if (threadIdx.x % WARP == 0) parts[threadIdx.x / WARP] = own;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int w = 1; w < THREADS / WARP; w++) own = merge(own, parts[w]);
        float log_sum = logf(own.sum);
        out[2 * blockIdx.x] = row[targets[blockIdx.x]] * inverse_temperature - own.top - log_sum;
        out[2 * blockIdx.x + 1] = log_sum - own.first / own.sum;
    }
}

// d loss / d z from what forward returned and its gradient: d log p(y) / dx = onehot(y) - p, dH / dx = -p (log p + H).
extern "C" __global__ void __launch_bounds__(THREADS)
    token_head_backward(const float* logits, const unsigned* targets, const float* out, const float* grad, scalar* d_logits,
                        unsigned vocabulary, float inverse_temperature) {
    const float* row = logits + (size_t)blockIdx.x * vocabulary;
    scalar* d_row = d_logits + (size_t)blockIdx.x * vocabulary;
    unsigned target = targets[blockIdx.x];
    float log_sum = row[target] * inverse_temperature - out[2 * blockIdx.x], entropy = out[2 * blockIdx.x + 1];
    float of_logprob = grad[2 * blockIdx.x] * inverse_temperature, of_entropy = grad[2 * blockIdx.x + 1] * inverse_temperature;
    for (unsigned v = threadIdx.x; v < vocabulary; v += THREADS) {
        float logprob = row[v] * inverse_temperature - log_sum, p = expf(logprob);
        // A probability that has underflowed contributes nothing: p log p -> 0.
        float d = p == 0.0f ? 0.0f : -p * (of_logprob + of_entropy * (logprob + entropy));
        if (v == target) d += of_logprob;
        d_row[v] = narrow(d);
    }
}
