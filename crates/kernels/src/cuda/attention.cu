// Causal attention over packed sequences, in tiles, with the softmax online (Dao et al., arXiv 2205.14135 and 2307.08691).
//
// Matrices are multiplied in fragments (common.cuh). Scores carry the factor log2(e), so that exponentials are powers of two.
// The backward pass has one kernel that owns queries and one that owns keys; both recompute the probabilities from the
// logarithm of the row's sum. Nothing is added atomically, so results do not depend on the order in which blocks run.
//
// HEAD_DIM is known at compile time. Tensors are q, out (tokens, heads, HEAD_DIM), k, v (tokens, kv_heads, HEAD_DIM), and
// lse, delta (tokens, heads); sequence s is the tokens offsets[s] .. offsets[s + 1]. A token sees the last `window` tokens of
// its sequence, itself among them.

#define WARPS 4
#define BLOCK (16 * WARPS)                   // queries or keys of a block: 16 per warp
#define TILE (DIMS * (int)sizeof(scalar) <= 256 ? 64 : 32)  // rows of a tile in shared memory

// Copies TILE rows from `from` on, `stride` apart, to shared memory; zeros beyond `rows` and HEAD_DIM.
__device__ __forceinline__ void copy_tile(scalar* tile, const scalar* from, size_t stride, int rows) {
    for (int index = threadIdx.x; index < TILE * (DIMS / PACK); index += WARPS * WARP) {
        int row = index / (DIMS / PACK), column = index % (DIMS / PACK) * PACK;
        Vector vector = {};
        if (row < rows) {
            const scalar* source = from + row * stride + column;
            if (HEAD_DIM % PACK == 0) {
                if (column < HEAD_DIM) vector = *(const Vector*)source;
            } else {
#pragma unroll
                for (int i = 0; i < PACK; i++) {
                    if (column + i < HEAD_DIM) vector.at[i] = source[i];
                }
            }
        }
        *(Vector*)(tile + row * STRIDE + column) = vector;
    }
}

// Writes 16 rows of results times a factor per row; null rows are left out.
__device__ __forceinline__ void write_rows(scalar* upper, scalar* lower, float (*c)[4], float upper_factor,
                                           float lower_factor) {
#pragma unroll
    for (int n = 0; n < DIMS / 8; n++) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            int column = 8 * n + 2 * (threadIdx.x % 4) + i;
            if (HEAD_DIM == DIMS || column < HEAD_DIM) {
                if (upper) upper[column] = narrow(c[n][i] * upper_factor);
                if (lower) lower[column] = narrow(c[n][2 + i] * lower_factor);
            }
        }
    }
}

// Which tokens a block works on.
struct Place {
    size_t start;  // first token of the sequence
    int length;    // of the sequence
    int first;     // the block's first token within it
    int warp;      // the warp's first
    int upper, lower;  // this thread's two rows
};

__device__ __forceinline__ Place place_of(const unsigned* offsets, unsigned tiles) {
    unsigned sequence = blockIdx.x / tiles;
    Place place;
    place.start = offsets[sequence];
    place.length = offsets[sequence + 1] - offsets[sequence];
    // The last tiles of a sequence attend to most, so they begin first.
    place.first = (tiles - 1 - blockIdx.x % tiles) * BLOCK;
    place.warp = place.first + threadIdx.x / WARP * 16;
    place.upper = place.warp + threadIdx.x % WARP / 4;
    place.lower = place.upper + 8;
    return place;
}

// Where the tile begins that holds the first key that the token at `place` sees.
__device__ __forceinline__ int first_tile(int place, int window) {
    int key = place - window + 1;
    return key > 0 ? key / TILE * TILE : 0;
}

extern "C" __global__ void __launch_bounds__(WARPS* WARP)
    attention_forward(const scalar* q, const scalar* k, const scalar* v, const unsigned* offsets, scalar* out, float* lse,
                      unsigned tiles, unsigned heads, unsigned kv_heads, float scale, int window) {
    __shared__ __align__(16) scalar keys[TILE * STRIDE];
    __shared__ __align__(16) scalar values[TILE * STRIDE];
    Place at = place_of(offsets, tiles);
    if (at.first >= at.length) return;
    unsigned head = blockIdx.y, kv_head = head / (heads / kv_heads);
    size_t stride = (size_t)heads * HEAD_DIM, kv_stride = (size_t)kv_heads * HEAD_DIM;
    bool has_upper = at.upper < at.length, has_lower = at.lower < at.length, active = at.warp < at.length;
    size_t upper_row = (at.start + at.upper) * stride + (size_t)head * HEAD_DIM, lower_row = upper_row + 8 * stride;
    Left query[STEPS];
#pragma unroll
    for (int s = 0; s < STEPS; s++)
        query[s] = rows_of(has_upper ? q + upper_row : 0, has_lower ? q + lower_row : 0, 16 * s);
    float result[DIMS / 8][4] = {};
    float top[2] = {MINUS_INFINITY, MINUS_INFINITY}, sum[2] = {0.0f, 0.0f};
    float factor = scale * LOG2_E;
    int limit = at.first + BLOCK < at.length ? at.first + BLOCK : at.length;
    for (int begin = first_tile(at.first, window); begin < limit; begin += TILE) {
        size_t source = (at.start + begin) * kv_stride + (size_t)kv_head * HEAD_DIM;
        __syncthreads();
        copy_tile(keys, k + source, kv_stride, at.length - begin);
        copy_tile(values, v + source, kv_stride, at.length - begin);
        __syncthreads();
        if (!active) continue;
        float scores[TILE / 8][4] = {};
        float highest[2] = {top[0], top[1]};
#pragma unroll
        for (int n = 0; n < TILE / 8; n++) {
            int key = begin + 8 * n;
            if (key < limit && key <= at.warp + 15 && at.warp - (key + 7) < window) {
#pragma unroll
                for (int s = 0; s < STEPS; s++) multiply(scores[n], query[s], transposed(keys, 8 * n, 16 * s));
            }
#pragma unroll
            for (int i = 0; i < 4; i++) {
                int column = key + 2 * (threadIdx.x % 4) + i % 2, row = i < 2 ? at.upper : at.lower;
                bool seen = column <= row && row - column < window && column < at.length;
                scores[n][i] = seen ? scores[n][i] * factor : MINUS_INFINITY;
                highest[i / 2] = larger(scores[n][i], highest[i / 2]);
            }
        }
        float shrink[2];
#pragma unroll
        for (int i = 0; i < 2; i++) {
            highest[i] = larger(highest[i], __shfl_xor_sync(FULL, highest[i], 1));
            highest[i] = larger(highest[i], __shfl_xor_sync(FULL, highest[i], 2));
            // Where no key is seen there is no maximum. Nor is there where all scores are NaN, which make NaN of the sum.
            shrink[i] = highest[i] == MINUS_INFINITY ? 1.0f : exp2_fast(top[i] - highest[i]);
            top[i] = highest[i];
            sum[i] *= shrink[i];
        }
#pragma unroll
        for (int n = 0; n < TILE / 8; n++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                scores[n][i] = scores[n][i] == MINUS_INFINITY ? 0.0f : exp2_fast(scores[n][i] - top[i / 2]);
                sum[i / 2] += scores[n][i];
            }
        }
#pragma unroll
        for (int n = 0; n < DIMS / 8; n++) {
#pragma unroll
            for (int i = 0; i < 4; i++) result[n][i] *= shrink[i / 2];
        }
#pragma unroll
        for (int c = 0; c < TILE / 16; c++) {
            int key = begin + 16 * c;
            if (key < limit && key <= at.warp + 15 && at.warp - (key + 15) < window) {
                Left probabilities = as_left(scores[2 * c], scores[2 * c + 1]);
#pragma unroll
                for (int n = 0; n < DIMS / 8; n++) multiply(result[n], probabilities, straight(values, 16 * c, 8 * n));
            }
        }
    }
    if (!active) return;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        sum[i] += __shfl_xor_sync(FULL, sum[i], 1);
        sum[i] += __shfl_xor_sync(FULL, sum[i], 2);
    }
    write_rows(has_upper ? out + upper_row : 0, has_lower ? out + lower_row : 0, result, 1.0f / sum[0], 1.0f / sum[1]);
    if (threadIdx.x % 4 == 0) {
        if (has_upper) lse[(at.start + at.upper) * heads + head] = top[0] * LN_2 + logf(sum[0]);
        if (has_lower) lse[(at.start + at.lower) * heads + head] = top[1] * LN_2 + logf(sum[1]);
    }
}

// delta = <out, grad> of every token and head; a warp each.
extern "C" __global__ void attention_delta(const scalar* out, const scalar* grad, float* delta, unsigned rows) {
    unsigned row = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
    if (row >= rows) return;
    float sum = 0.0f;
    for (int i = threadIdx.x % WARP * PACK; i < HEAD_DIM; i += WARP * PACK) {
        float a[PACK], b[PACK];
        load(a, out + (size_t)row * HEAD_DIM + i, HEAD_DIM - i);
        load(b, grad + (size_t)row * HEAD_DIM + i, HEAD_DIM - i);
#pragma unroll
        for (int j = 0; j < PACK; j++) sum += a[j] * b[j];
    }
    sum = warp_sum(sum);
    if (threadIdx.x % WARP == 0) delta[row] = sum;
}

extern "C" __global__ void __launch_bounds__(WARPS* WARP)
    attention_backward_queries(const scalar* q, const scalar* k, const scalar* v, const scalar* grad, const float* lse,
                               const float* delta, const unsigned* offsets, scalar* dq, unsigned tiles, unsigned heads,
                               unsigned kv_heads, float scale, int window) {
    __shared__ __align__(16) scalar keys[TILE * STRIDE];
    __shared__ __align__(16) scalar values[TILE * STRIDE];
    Place at = place_of(offsets, tiles);
    if (at.first >= at.length) return;
    unsigned head = blockIdx.y, kv_head = head / (heads / kv_heads);
    size_t stride = (size_t)heads * HEAD_DIM, kv_stride = (size_t)kv_heads * HEAD_DIM;
    bool has_upper = at.upper < at.length, has_lower = at.lower < at.length, active = at.warp < at.length;
    size_t upper_row = (at.start + at.upper) * stride + (size_t)head * HEAD_DIM, lower_row = upper_row + 8 * stride;
    Left query[STEPS], gradient[STEPS];
#pragma unroll
    for (int s = 0; s < STEPS; s++) {
        query[s] = rows_of(has_upper ? q + upper_row : 0, has_lower ? q + lower_row : 0, 16 * s);
        gradient[s] = rows_of(has_upper ? grad + upper_row : 0, has_lower ? grad + lower_row : 0, 16 * s);
    }
    float log_sum[2], pull[2];
#pragma unroll
    for (int i = 0; i < 2; i++) {
        bool has = i ? has_lower : has_upper;
        size_t row = (at.start + (i ? at.lower : at.upper)) * heads + head;
        log_sum[i] = has ? lse[row] * LOG2_E : 0.0f;
        pull[i] = has ? delta[row] : 0.0f;
    }
    float result[DIMS / 8][4] = {};
    int limit = at.first + BLOCK < at.length ? at.first + BLOCK : at.length;
    for (int begin = first_tile(at.first, window); begin < limit; begin += TILE) {
        size_t source = (at.start + begin) * kv_stride + (size_t)kv_head * HEAD_DIM;
        __syncthreads();
        copy_tile(keys, k + source, kv_stride, at.length - begin);
        copy_tile(values, v + source, kv_stride, at.length - begin);
        __syncthreads();
        if (!active) continue;
#pragma unroll 1
        for (int c = 0; c < TILE / 16; c++) {
            int key = begin + 16 * c;
            if (key >= limit || key > at.warp + 15) break;
            if (at.warp - (key + 15) >= window) continue;
            float scores[2][4] = {}, pulls[2][4] = {};
#pragma unroll
            for (int n = 0; n < 2; n++) {
#pragma unroll
                for (int s = 0; s < STEPS; s++) {
                    multiply(scores[n], query[s], transposed(keys, 16 * c + 8 * n, 16 * s));
                    multiply(pulls[n], gradient[s], transposed(values, 16 * c + 8 * n, 16 * s));
                }
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    int column = key + 8 * n + 2 * (threadIdx.x % 4) + i % 2, row = i < 2 ? at.upper : at.lower;
                    bool seen = column <= row && row - column < window && row < at.length;
                    float p = seen ? exp2_fast(scores[n][i] * scale * LOG2_E - log_sum[i / 2]) : 0.0f;
                    scores[n][i] = p * (pulls[n][i] - pull[i / 2]) * scale;
                }
            }
            Left d_scores = as_left(scores[0], scores[1]);
#pragma unroll
            for (int n = 0; n < DIMS / 8; n++) multiply(result[n], d_scores, straight(keys, 16 * c, 8 * n));
        }
    }
    if (active) write_rows(has_upper ? dq + upper_row : 0, has_lower ? dq + lower_row : 0, result, 1.0f, 1.0f);
}

extern "C" __global__ void __launch_bounds__(WARPS* WARP)
    attention_backward_keys(const scalar* q, const scalar* k, const scalar* v, const scalar* grad, const float* lse,
                            const float* delta, const unsigned* offsets, scalar* dk, scalar* dv, unsigned tiles,
                            unsigned heads, unsigned kv_heads, float scale, int window) {
    __shared__ __align__(16) scalar queries[TILE * STRIDE];
    __shared__ __align__(16) scalar gradients[TILE * STRIDE];
    __shared__ float log_sums[TILE], pulls[TILE];
    Place at = place_of(offsets, tiles);
    if (at.first >= at.length) return;
    unsigned kv_head = blockIdx.y, group = heads / kv_heads;
    size_t stride = (size_t)heads * HEAD_DIM, kv_stride = (size_t)kv_heads * HEAD_DIM;
    bool has_upper = at.upper < at.length, has_lower = at.lower < at.length, active = at.warp < at.length;
    size_t upper_row = (at.start + at.upper) * kv_stride + (size_t)kv_head * HEAD_DIM, lower_row = upper_row + 8 * kv_stride;
    Left key[STEPS], value[STEPS];
#pragma unroll
    for (int s = 0; s < STEPS; s++) {
        key[s] = rows_of(has_upper ? k + upper_row : 0, has_lower ? k + lower_row : 0, 16 * s);
        value[s] = rows_of(has_upper ? v + upper_row : 0, has_lower ? v + lower_row : 0, 16 * s);
    }
    // Behind the last query that sees the block's last key.
    int limit = at.length - at.first - BLOCK < window ? at.length : at.first + BLOCK + window;
    float of_keys[DIMS / 8][4] = {}, of_values[DIMS / 8][4] = {};
    for (unsigned head = kv_head * group; head < kv_head * group + group; head++) {
        for (int begin = at.first; begin < limit; begin += TILE) {
            size_t source = (at.start + begin) * stride + (size_t)head * HEAD_DIM;
            __syncthreads();
            copy_tile(queries, q + source, stride, at.length - begin);
            copy_tile(gradients, grad + source, stride, at.length - begin);
            if (threadIdx.x < TILE) {
                bool has = begin + (int)threadIdx.x < at.length;
                size_t row = (at.start + begin + threadIdx.x) * heads + head;
                log_sums[threadIdx.x] = has ? lse[row] * LOG2_E : 0.0f;
                pulls[threadIdx.x] = has ? delta[row] : 0.0f;
            }
            __syncthreads();
            if (!active) continue;
#pragma unroll 1
            for (int c = 0; c < TILE / 16; c++) {
                int query = begin + 16 * c;
                if (query >= limit) break;
                if (query + 15 < at.warp || query - (at.warp + 15) >= window) continue;
                float p[2][4] = {}, d_scores[2][4] = {};
#pragma unroll
                for (int n = 0; n < 2; n++) {
#pragma unroll
                    for (int s = 0; s < STEPS; s++) {
                        multiply(p[n], key[s], transposed(queries, 16 * c + 8 * n, 16 * s));
                        multiply(d_scores[n], value[s], transposed(gradients, 16 * c + 8 * n, 16 * s));
                    }
#pragma unroll
                    for (int i = 0; i < 4; i++) {
                        int in_tile = 16 * c + 8 * n + 2 * (threadIdx.x % 4) + i % 2;
                        int column = begin + in_tile, row = i < 2 ? at.upper : at.lower;
                        bool seen = row <= column && column - row < window && column < at.length;
                        p[n][i] = seen ? exp2_fast(p[n][i] * scale * LOG2_E - log_sums[in_tile]) : 0.0f;
                        d_scores[n][i] = p[n][i] * (d_scores[n][i] - pulls[in_tile]) * scale;
                    }
                }
                Left left = as_left(p[0], p[1]);
#pragma unroll
                for (int n = 0; n < DIMS / 8; n++) multiply(of_values[n], left, straight(gradients, 16 * c, 8 * n));
                left = as_left(d_scores[0], d_scores[1]);
#pragma unroll
                for (int n = 0; n < DIMS / 8; n++) multiply(of_keys[n], left, straight(queries, 16 * c, 8 * n));
            }
        }
    }
    if (!active) return;
    write_rows(has_upper ? dk + upper_row : 0, has_lower ? dk + lower_row : 0, of_keys, 1.0f, 1.0f);
    write_rows(has_upper ? dv + upper_row : 0, has_lower ? dv + lower_row : 0, of_values, 1.0f, 1.0f);
}
