// What the optimizer does to each parameter's n elements. Masters, moments and sums of gradients are float.

// sum += grad.
extern "C" __global__ void accumulate(float* sum, const scalar* grad, size_t n) {
    size_t i = ((size_t)blockIdx.x * blockDim.x + threadIdx.x) * PACK;
    if (i >= n) return;
    float g[PACK];
    int count = left_of(n, i);
    load(g, grad + i, count);
#pragma unroll
    for (int j = 0; j < PACK; j++) {
        if (j < count) sum[i + j] += g[j];
    }
}

#define THREADS 256

// partial[block] = sum of squares of the block's share.
extern "C" __global__ void __launch_bounds__(THREADS) squares(const scalar* x, double* partial, size_t n) {
    __shared__ double sums[THREADS / WARP];
    double sum = 0.0;
    for (size_t i = ((size_t)blockIdx.x * THREADS + threadIdx.x) * PACK; i < n; i += (size_t)gridDim.x * THREADS * PACK) {
        float values[PACK];
        load(values, x + i, left_of(n, i));
#pragma unroll
        for (int j = 0; j < PACK; j++) sum += (double)values[j] * values[j];
    }
    for (int d = WARP / 2; d > 0; d /= 2) sum += __shfl_xor_sync(FULL, sum, d);
    if (threadIdx.x % WARP == 0) sums[threadIdx.x / WARP] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int w = 1; w < THREADS / WARP; w++) sum += sums[w];
        partial[blockIdx.x] = sum;
    }
}

// AdamW: the new weight from a master and moments, whose bias is corrected by root_correction = 1 / sqrt(1 - beta2^t) and
// rate = learning rate / (1 - beta1^t).
__device__ __forceinline__ float updated(float master, float first, float second, float rate, float root_correction, float eps,
                                         float decay) {
    return master * decay - rate * first / (sqrtf(second) * root_correction + eps);
}

// Moves the moments by the gradient times `scale`; sets the flag where the new weight would not be finite.
extern "C" __global__ void adamw_moments(const float* master, const float* grad, float* first, float* second, unsigned* flag,
                                         size_t n, float scale, float beta1, float beta2, float rate, float root_correction,
                                         float eps, float decay) {
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float g = grad[i] * scale;
    float m = beta1 * first[i] + (1.0f - beta1) * g;
    float v = beta2 * second[i] + (1.0f - beta2) * g * g;
    first[i] = m;
    second[i] = v;
    float w = updated(master[i], m, v, rate, root_correction, eps, decay);
    if (!(fabsf(w) <= 3.4028235e38f)) *flag = 1;
}

// Stores the new weights, as masters and as the model has them, which for float is the same memory.
extern "C" __global__ void adamw_store(float* master, const float* first, const float* second, scalar* weight, size_t n,
                                       float rate, float root_correction, float eps, float decay) {
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float w = updated(master[i], first[i], second[i], rate, root_correction, eps, decay);
    master[i] = w;
#ifdef BF16
    weight[i] = narrow(w);
#endif
}
