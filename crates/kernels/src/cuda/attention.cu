// Causal attention over packed sequences, in tiles, with the softmax online (Dao et al., arXiv 2205.14135 and 2307.08691).
//
// Matrices are multiplied in fragments (common.cuh). Scores carry the factor log2(e), so that exponentials are powers of two.
// The backward pass has one kernel that owns queries and one that owns keys; both recompute the probabilities from the
// logarithm of the row's sum. Nothing is added atomically, so results do not depend on the order in which blocks run.
//
// HEAD_DIM is known at compile time. Tensors are q, out (tokens, heads, HEAD_DIM), k, v (tokens, kv_heads, HEAD_DIM), and
// lse, delta (tokens, heads).
//
// A sequence is the tokens of a segment, or those of its parent and then its own. Places count from the sequence's first
// token. A token sees the last `window` tokens of its sequence, itself among them. Keys and values of the parent are read
// where they are. Gradients of the parent's keys and values are sums over its own queries and those of all its branches.
// Where these are many, several blocks sum over some of them each, and attention_sum adds the sums up.
//
// Which block does what is listed by attention_blocks.rs. The grid is (heads or kv_heads, items of the list).

#define WARPS 4
#define BLOCK (16 * WARPS)                   // queries or keys of a block: 16 per warp
#define TILE (DIMS * (int)sizeof(scalar) <= 256 ? 64 : 32)  // rows of a tile in shared memory
#define WHOLE 0xffffffffu                    // in place of a slot: the block has the whole sum

// Left factors that are used again and again stay in registers where there is room for them. Elsewhere they are read again
// each time, from the cache, and the loop over them stays a loop.
#ifdef BF16
#define HELD
#define RESIDENT (DIMS <= 64 ? 4 : DIMS <= 128 ? 3 : 1)  // blocks of queries of a multiprocessor, which limit registers
const int STEPS_AT_ONCE = STEPS;
#else
#define RESIDENT 1
const int STEPS_AT_ONCE = 1;
#endif

// 16 rows of a matrix in global memory as the left factors of STEPS products.
struct Rows {
#ifdef HELD
    Left steps[STEPS];
#else
    const scalar *upper, *lower;
#endif
};

__device__ __forceinline__ Rows hold(const scalar* upper, const scalar* lower) {
    Rows rows;
#ifdef HELD
#pragma unroll
    for (int s = 0; s < STEPS; s++) rows.steps[s] = rows_of(upper, lower, 16 * s);
#else
    rows.upper = upper;
    rows.lower = lower;
#endif
    return rows;
}

__device__ __forceinline__ Left step_of(const Rows& rows, int s) {
#ifdef HELD
    return rows.steps[s];
#else
    return rows_of(rows.upper, rows.lower, 16 * s);
#endif
}

// Where the tokens of a sequence are: place + before is a token's number up to the border, place + after behind it. These
// are added as whole numbers modulo 2^32.
struct Tokens {
    int border;
    unsigned before, after;
};

__device__ __forceinline__ size_t token_at(const Tokens& tokens, int place) {
    return (unsigned)place + (place < tokens.border ? tokens.before : tokens.after);
}

// Copies the rows of TILE tokens from the place `begin` on to shared memory; zeros from the place `end` and beyond HEAD_DIM.
__device__ __forceinline__ void copy_tile(scalar* tile, const scalar* from, size_t stride, const Tokens& tokens, int begin,
                                          int end) {
    for (int index = threadIdx.x; index < TILE * (DIMS / PACK); index += WARPS * WARP) {
        int row = index / (DIMS / PACK), column = index % (DIMS / PACK) * PACK;
        Vector vector = {};
        if (begin + row < end) {
            const scalar* source = from + token_at(tokens, begin + row) * stride + column;
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

__device__ __forceinline__ void put(float* at, float x) { *at = x; }
#ifdef BF16
__device__ __forceinline__ void put(bf16* at, float x) { *at = narrow(x); }
#endif

// Writes 16 rows of results times a factor per row; null rows are left out.
template <class T>
__device__ __forceinline__ void write_rows(T* upper, T* lower, float (*c)[4], float upper_factor, float lower_factor) {
#pragma unroll
    for (int n = 0; n < DIMS / 8; n++) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            int column = 8 * n + 2 * (threadIdx.x % 4) + i;
            if (HEAD_DIM == DIMS || column < HEAD_DIM) {
                if (upper) put(upper + column, c[n][i] * upper_factor);
                if (lower) put(lower + column, c[n][2 + i] * lower_factor);
            }
        }
    }
}

// Which queries or keys of a sequence a block owns, by their places.
struct Place {
    int end;           // of the sequence
    int first;         // the block's first
    int warp;          // the warp's first
    int upper, lower;  // this thread's two rows
};

__device__ __forceinline__ Place place_of(int first, int end) {
    Place place;
    place.end = end;
    place.first = first;
    place.warp = first + threadIdx.x / WARP * 16;
    place.upper = place.warp + threadIdx.x % WARP / 4;
    place.lower = place.upper + 8;
    return place;
}

// The queries of a block and the sequence that they are in: an item of the list `queries`.
__device__ __forceinline__ Place queries_of(const unsigned* queries, Tokens& tokens) {
    const unsigned* item = queries + (size_t)5 * blockIdx.y;
    tokens.border = item[2];
    tokens.before = item[3];
    tokens.after = item[4];
    return place_of(item[0], item[1]);
}

// Where the tile begins that holds the first key that the token at `place` sees.
__device__ __forceinline__ int first_tile(int place, int window) {
    int key = place - window + 1;
    return key > 0 ? key / TILE * TILE : 0;
}

extern "C" __global__ void __launch_bounds__(WARPS* WARP, RESIDENT)
    attention_forward(const scalar* q, const scalar* k, const scalar* v, const unsigned* queries, scalar* out, float* lse,
                      unsigned heads, unsigned kv_heads, float scale, int window) {
    __shared__ __align__(16) scalar keys[TILE * STRIDE];
    __shared__ __align__(16) scalar values[TILE * STRIDE];
    Tokens tokens;
    Place at = queries_of(queries, tokens);
    unsigned head = blockIdx.x, kv_head = head / (heads / kv_heads);
    size_t stride = (size_t)heads * HEAD_DIM, kv_stride = (size_t)kv_heads * HEAD_DIM;
    bool has_upper = at.upper < at.end, has_lower = at.lower < at.end, active = at.warp < at.end;
    size_t upper_token = token_at(tokens, at.upper), lower_token = upper_token + 8;
    size_t upper_row = upper_token * stride + (size_t)head * HEAD_DIM, lower_row = upper_row + 8 * stride;
    Rows query = hold(has_upper ? q + upper_row : 0, has_lower ? q + lower_row : 0);
    float result[DIMS / 8][4] = {};
    float top[2] = {MINUS_INFINITY, MINUS_INFINITY}, sum[2] = {0.0f, 0.0f};
    float factor = scale * LOG2_E;
    int limit = at.first + BLOCK < at.end ? at.first + BLOCK : at.end;
    for (int begin = first_tile(at.first, window); begin < limit; begin += TILE) {
        __syncthreads();
        copy_tile(keys, k + (size_t)kv_head * HEAD_DIM, kv_stride, tokens, begin, at.end);
        copy_tile(values, v + (size_t)kv_head * HEAD_DIM, kv_stride, tokens, begin, at.end);
        __syncthreads();
        if (!active) continue;
        float scores[TILE / 8][4] = {};
        float highest[2] = {top[0], top[1]};
#pragma unroll
        for (int n = 0; n < TILE / 8; n++) {
            int key = begin + 8 * n;
            if (key < limit && key <= at.warp + 15 && at.warp - (key + 7) < window) {
#pragma unroll STEPS_AT_ONCE
                for (int s = 0; s < STEPS; s++) multiply(scores[n], step_of(query, s), transposed(keys, 8 * n, 16 * s));
            }
#pragma unroll
            for (int i = 0; i < 4; i++) {
                int column = key + 2 * (threadIdx.x % 4) + i % 2, row = i < 2 ? at.upper : at.lower;
                bool seen = column <= row && row - column < window && column < at.end;
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
        if (has_upper) lse[upper_token * heads + head] = top[0] * LN_2 + logf(sum[0]);
        if (has_lower) lse[lower_token * heads + head] = top[1] * LN_2 + logf(sum[1]);
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

extern "C" __global__ void __launch_bounds__(WARPS* WARP, RESIDENT)
    attention_backward_queries(const scalar* q, const scalar* k, const scalar* v, const scalar* grad, const float* lse,
                               const float* delta, const unsigned* queries, scalar* dq, unsigned heads, unsigned kv_heads,
                               float scale, int window) {
    __shared__ __align__(16) scalar keys[TILE * STRIDE];
    __shared__ __align__(16) scalar values[TILE * STRIDE];
    Tokens tokens;
    Place at = queries_of(queries, tokens);
    unsigned head = blockIdx.x, kv_head = head / (heads / kv_heads);
    size_t stride = (size_t)heads * HEAD_DIM, kv_stride = (size_t)kv_heads * HEAD_DIM;
    bool has_upper = at.upper < at.end, has_lower = at.lower < at.end, active = at.warp < at.end;
    size_t upper_token = token_at(tokens, at.upper), lower_token = upper_token + 8;
    size_t upper_row = upper_token * stride + (size_t)head * HEAD_DIM, lower_row = upper_row + 8 * stride;
    Rows query = hold(has_upper ? q + upper_row : 0, has_lower ? q + lower_row : 0);
    Rows gradient = hold(has_upper ? grad + upper_row : 0, has_lower ? grad + lower_row : 0);
    float log_sum[2], pull[2];
#pragma unroll
    for (int i = 0; i < 2; i++) {
        bool has = i ? has_lower : has_upper;
        size_t row = (i ? lower_token : upper_token) * heads + head;
        log_sum[i] = has ? lse[row] * LOG2_E : 0.0f;
        pull[i] = has ? delta[row] : 0.0f;
    }
    float result[DIMS / 8][4] = {};
    int limit = at.first + BLOCK < at.end ? at.first + BLOCK : at.end;
    for (int begin = first_tile(at.first, window); begin < limit; begin += TILE) {
        __syncthreads();
        copy_tile(keys, k + (size_t)kv_head * HEAD_DIM, kv_stride, tokens, begin, at.end);
        copy_tile(values, v + (size_t)kv_head * HEAD_DIM, kv_stride, tokens, begin, at.end);
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
#pragma unroll STEPS_AT_ONCE
                for (int s = 0; s < STEPS; s++) {
                    multiply(scores[n], step_of(query, s), transposed(keys, 16 * c + 8 * n, 16 * s));
                    multiply(pulls[n], step_of(gradient, s), transposed(values, 16 * c + 8 * n, 16 * s));
                }
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    int column = key + 8 * n + 2 * (threadIdx.x % 4) + i % 2, row = i < 2 ? at.upper : at.lower;
                    bool seen = column <= row && row - column < window && row < at.end;
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

// The first element of this thread's upper key of a block: an item of the list `keys`.
__device__ __forceinline__ size_t key_row(const unsigned* item, const Place& at, size_t kv_stride) {
    return ((size_t)item[2] + at.upper) * kv_stride + (size_t)blockIdx.x * HEAD_DIM;
}

extern "C" __global__ void __launch_bounds__(WARPS* WARP)
    attention_backward_keys(const scalar* q, const scalar* k, const scalar* v, const scalar* grad, const float* lse,
                            const float* delta, const unsigned* keys, const unsigned* runs, scalar* dk, scalar* dv,
                            float* partials, unsigned heads, unsigned kv_heads, float scale, int window) {
    __shared__ __align__(16) scalar queries[TILE * STRIDE];
    __shared__ __align__(16) scalar gradients[TILE * STRIDE];
    __shared__ float log_sums[TILE], pulls[TILE];
    const unsigned* item = keys + (size_t)6 * blockIdx.y;
    Place at = place_of(item[0], item[1]);
    unsigned first_run = item[3], last_run = item[4];
    unsigned kv_head = blockIdx.x, group = heads / kv_heads;
    size_t stride = (size_t)heads * HEAD_DIM, kv_stride = (size_t)kv_heads * HEAD_DIM;
    bool has_upper = at.upper < at.end, has_lower = at.lower < at.end, active = at.warp < at.end;
    size_t upper_row = key_row(item, at, kv_stride), lower_row = upper_row + 8 * kv_stride;
    Rows key = hold(has_upper ? k + upper_row : 0, has_lower ? k + lower_row : 0);
    Rows value = hold(has_upper ? v + upper_row : 0, has_lower ? v + lower_row : 0);
    float of_keys[DIMS / 8][4] = {}, of_values[DIMS / 8][4] = {};
    for (unsigned head = kv_head * group; head < kv_head * group + group; head++) {
        for (unsigned run = first_run; run < last_run; run++) {
            Tokens tokens = {0, 0, runs[3 * run] - runs[3 * run + 1]};
            int place = runs[3 * run + 1], end = place + (int)runs[3 * run + 2];
            // Queries before the block's first key do not see it, nor do those a window behind its last one.
            int limit = end - at.first - BLOCK < window ? end : at.first + BLOCK + window;
            for (int begin = place > at.first ? place : at.first; begin < limit; begin += TILE) {
                __syncthreads();
                copy_tile(queries, q + (size_t)head * HEAD_DIM, stride, tokens, begin, end);
                copy_tile(gradients, grad + (size_t)head * HEAD_DIM, stride, tokens, begin, end);
                if (threadIdx.x < TILE) {
                    bool has = begin + (int)threadIdx.x < end;
                    size_t row = token_at(tokens, begin + threadIdx.x) * heads + head;
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
#pragma unroll STEPS_AT_ONCE
                        for (int s = 0; s < STEPS; s++) {
                            multiply(p[n], step_of(key, s), transposed(queries, 16 * c + 8 * n, 16 * s));
                            multiply(d_scores[n], step_of(value, s), transposed(gradients, 16 * c + 8 * n, 16 * s));
                        }
#pragma unroll
                        for (int i = 0; i < 4; i++) {
                            int in_tile = 16 * c + 8 * n + 2 * (threadIdx.x % 4) + i % 2;
                            int column = begin + in_tile, row = i < 2 ? at.upper : at.lower;
                            bool seen = row <= column && column - row < window && column < end;
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
    }
    if (!active) return;
    // The place of the results is read again rather than kept, which registers are short for.
    unsigned slot = item[5];
    if (slot != WHOLE) {
        size_t piece = (size_t)BLOCK * kv_stride;
        float* upper = partials + 2 * slot * piece + (at.upper - at.first) * kv_stride + (size_t)kv_head * HEAD_DIM;
        float* lower = upper + 8 * kv_stride;
        write_rows(has_upper ? upper : 0, has_lower ? lower : 0, of_keys, 1.0f, 1.0f);
        write_rows(has_upper ? upper + piece : 0, has_lower ? lower + piece : 0, of_values, 1.0f, 1.0f);
        return;
    }
    upper_row = key_row(item, at, kv_stride);
    lower_row = upper_row + 8 * kv_stride;
    write_rows(has_upper ? dk + upper_row : 0, has_lower ? dk + lower_row : 0, of_keys, 1.0f, 1.0f);
    write_rows(has_upper ? dv + upper_row : 0, has_lower ? dv + lower_row : 0, of_values, 1.0f, 1.0f);
}

// Adds up what the blocks of one BLOCK of keys have summed, which are partials (slots, 2, BLOCK, kv_heads, HEAD_DIM). A block
// of threads per key; the grid is (BLOCK, items of `sums`).
extern "C" __global__ void attention_sum(const float* partials, const unsigned* sums, scalar* dk, scalar* dv,
                                         unsigned kv_heads) {
    const unsigned* item = sums + (size_t)4 * blockIdx.y;
    unsigned token = item[0], rows = item[1], slot = item[2], slots = item[3], row = blockIdx.x;
    if (row >= rows) return;
    unsigned width = kv_heads * HEAD_DIM;
    size_t piece = (size_t)BLOCK * width;
    for (unsigned index = threadIdx.x; index < 2 * width; index += blockDim.x) {
        unsigned which = index / width, column = index % width;
        const float* from = partials + (2 * slot + which) * piece + (size_t)row * width + column;
        float sum = 0.0f;
        for (unsigned s = 0; s < slots; s++) sum += from[2 * s * piece];
        (which ? dv : dk)[((size_t)token + row) * width + column] = narrow(sum);
    }
}
