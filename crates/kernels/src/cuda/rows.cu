// Rows of a matrix (from, d) by index, and the way back.

// out[i] = x[index[i]]; a block per row.
extern "C" __global__ void rows_gather(const scalar* x, const unsigned* index, scalar* out, unsigned d) {
    const scalar* row = x + (size_t)index[blockIdx.x] * d;
    for (unsigned i = threadIdx.x * PACK; i < d; i += blockDim.x * PACK) {
        float values[PACK];
        load(values, row + i, d - i);
        store(out + (size_t)blockIdx.x * d + i, values, d - i);
    }
}

// dx[wanted[b]] = sum of grad[places[j]] for j in offsets[b] .. offsets[b + 1]; a block per distinct row.
extern "C" __global__ void rows_sum(const scalar* grad, const unsigned* wanted, const unsigned* offsets, const unsigned* places,
                                    scalar* dx, unsigned d) {
    for (unsigned i = threadIdx.x * PACK; i < d; i += blockDim.x * PACK) {
        float sum[PACK] = {};
        for (unsigned j = offsets[blockIdx.x]; j < offsets[blockIdx.x + 1]; j++) {
            float values[PACK];
            load(values, grad + (size_t)places[j] * d + i, d - i);
#pragma unroll
            for (int p = 0; p < PACK; p++) sum[p] += values[p];
        }
        store(dx + (size_t)wanted[blockIdx.x] * d + i, sum, d - i);
    }
}
