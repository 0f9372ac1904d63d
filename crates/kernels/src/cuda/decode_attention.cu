// Attention of one new token per row over cached keys and values (rows, kv_heads, slots, HEAD_DIM), slots starts[row] to `end`,
// of which the last `window` are seen.
//
// A block serves the GROUP query heads of one key/value head, so that keys and values are read once. Eight threads share a key:
// each holds some of its elements. Every eight threads go through keys of their own with an online softmax; the parts are merged
// in the end, first within warps, then between them, and between `splits` blocks where there are few rows and many slots.

#define WARPS 4
#define MEMBERS 8                                     // threads of a key
#define PACKS (HEAD_DIM / PACK)                       // HEAD_DIM is a multiple of PACK
#define OWN ((PACKS + MEMBERS - 1) / MEMBERS)         // packs of a thread
#define KEYS (WARPS * WARP / MEMBERS)                 // keys at a time

struct State {
    float top, sum;
    float result[OWN * PACK];
};

// Merges what the lane `distance` away has.
__device__ __forceinline__ void merge(State& state, int distance) {
    float top = __shfl_xor_sync(FULL, state.top, distance), sum = __shfl_xor_sync(FULL, state.sum, distance);
    float highest = larger(state.top, top);
    float own = state.top == MINUS_INFINITY ? 0.0f : exp2_fast(state.top - highest);
    float other = top == MINUS_INFINITY ? 0.0f : exp2_fast(top - highest);
    state.top = highest;
    state.sum = state.sum * own + sum * other;
#pragma unroll
    for (int i = 0; i < OWN * PACK; i++) {
        float result = __shfl_xor_sync(FULL, state.result[i], distance);
        state.result[i] = state.result[i] * own + result * other;
    }
}

extern "C" __global__ void __launch_bounds__(WARPS* WARP)
    decode_attention(const scalar* q, const scalar* keys, const scalar* values, const unsigned* starts, scalar* out,
                     float* partial, unsigned kv_heads, unsigned slots, unsigned end, float scale, unsigned window) {
    __shared__ float tops[WARPS][GROUP], sums[WARPS][GROUP], results[WARPS][GROUP][HEAD_DIM];
    unsigned row = blockIdx.x / kv_heads, kv_head = blockIdx.x % kv_heads, splits = gridDim.y;
    unsigned lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, member = lane % MEMBERS;
    unsigned start = starts[row];
    if (end > window && end - window > start) start = end - window;
    unsigned share = (end - start + splits - 1) / splits;
    unsigned begin = start + blockIdx.y * share, stop = begin + share < end ? begin + share : end;
    size_t head = (size_t)blockIdx.x * GROUP;  // first query head, over all rows
    const scalar* own_keys = keys + ((size_t)row * kv_heads + kv_head) * slots * HEAD_DIM;
    const scalar* own_values = values + ((size_t)row * kv_heads + kv_head) * slots * HEAD_DIM;
    State states[GROUP];
    float query[GROUP][OWN * PACK];
#pragma unroll
    for (int g = 0; g < GROUP; g++) {
        states[g].top = MINUS_INFINITY;
        states[g].sum = 0.0f;
#pragma unroll
        for (int o = 0; o < OWN; o++) {
            int pack = o * MEMBERS + member;
            load(query[g] + o * PACK, q + (head + g) * HEAD_DIM + pack * PACK, pack < PACKS ? PACK : 0);
        }
#pragma unroll
        for (int i = 0; i < OWN * PACK; i++) {
            query[g][i] *= scale * LOG2_E;
            states[g].result[i] = 0.0f;
        }
    }
    // All threads of a warp take the same number of turns, because they exchange sums.
    for (unsigned at = begin; at < stop; at += KEYS) {
        unsigned slot = at + threadIdx.x / MEMBERS;
        bool has = slot < stop;
        float key[OWN * PACK], value[OWN * PACK];
#pragma unroll
        for (int o = 0; o < OWN; o++) {
            int pack = o * MEMBERS + member;
            size_t from = (size_t)slot * HEAD_DIM + pack * PACK;
            load(key + o * PACK, own_keys + from, has && pack < PACKS ? PACK : 0);
            load(value + o * PACK, own_values + from, has && pack < PACKS ? PACK : 0);
        }
#pragma unroll
        for (int g = 0; g < GROUP; g++) {
            float score = 0.0f;
#pragma unroll
            for (int i = 0; i < OWN * PACK; i++) score += query[g][i] * key[i];
#pragma unroll
            for (int d = 1; d < MEMBERS; d *= 2) score += __shfl_xor_sync(FULL, score, d);
            if (has) {
                float highest = larger(score, states[g].top);
                float shrink = states[g].top == MINUS_INFINITY ? 0.0f : exp2_fast(states[g].top - highest);
                float p = exp2_fast(score - highest);
                states[g].top = highest;
                states[g].sum = states[g].sum * shrink + p;
#pragma unroll
                for (int i = 0; i < OWN * PACK; i++) states[g].result[i] = states[g].result[i] * shrink + p * value[i];
            }
        }
    }
#pragma unroll
    for (int g = 0; g < GROUP; g++) {
#pragma unroll
        for (int d = MEMBERS; d < WARP; d *= 2) merge(states[g], d);
        if (lane < MEMBERS) {
            if (member == 0) {
                tops[warp][g] = states[g].top;
                sums[warp][g] = states[g].sum;
            }
#pragma unroll
            for (int i = 0; i < OWN * PACK; i++) {
                int pack = i / PACK * MEMBERS + member;
                if (pack < PACKS) results[warp][g][pack * PACK + i % PACK] = states[g].result[i];
            }
        }
    }
    __syncthreads();
    for (unsigned index = threadIdx.x; index < GROUP * HEAD_DIM; index += WARPS * WARP) {
        unsigned g = index / HEAD_DIM, column = index % HEAD_DIM;
        float top = MINUS_INFINITY, sum = 0.0f, result = 0.0f;
        for (int w = 0; w < WARPS; w++) top = larger(tops[w][g], top);
        for (int w = 0; w < WARPS; w++) {
            float weight = tops[w][g] == MINUS_INFINITY ? 0.0f : exp2_fast(tops[w][g] - top);
            sum += sums[w][g] * weight;
            result += results[w][g][column] * weight;
        }
        if (splits == 1) {
            out[(head + g) * HEAD_DIM + column] = narrow(result / sum);
        } else {
            float* part = partial + ((head + g) * splits + blockIdx.y) * (HEAD_DIM + 2);
            part[column] = result;
            if (column == 0) {
                part[HEAD_DIM] = top;
                part[HEAD_DIM + 1] = sum;
            }
        }
    }
}

// Merges the parts of each row and head.
extern "C" __global__ void decode_attention_merge(const float* partial, scalar* out, unsigned splits) {
    const float* parts = partial + (size_t)blockIdx.x * splits * (HEAD_DIM + 2);
    float top = MINUS_INFINITY;
    for (unsigned s = 0; s < splits; s++) top = larger(parts[s * (HEAD_DIM + 2) + HEAD_DIM], top);
    for (unsigned column = threadIdx.x; column < HEAD_DIM; column += blockDim.x) {
        float sum = 0.0f, result = 0.0f;
        for (unsigned s = 0; s < splits; s++) {
            const float* part = parts + s * (HEAD_DIM + 2);
            float weight = part[HEAD_DIM] == MINUS_INFINITY ? 0.0f : exp2_fast(part[HEAD_DIM] - top);
            sum += part[HEAD_DIM + 1] * weight;
            result += part[column] * weight;
        }
        out[(size_t)blockIdx.x * HEAD_DIM + column] = narrow(result / sum);
    }
}
