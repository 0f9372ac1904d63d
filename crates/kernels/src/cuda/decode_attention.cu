// Attention of one new token per row. A row's keys and values are those of its prompt, which the rows of a group share, and its
// own. Prompts are keys and values (tokens, kv_heads, HEAD_DIM); own ones are (rows, kv_heads, slots, HEAD_DIM).
//
// prompt_attention reads a prompt's keys and values once for all rows of its group: their queries are the rows of a matrix.
// decode_attention reads what a row has for itself. Each has a softmax of its own, whose parts (the largest score, the sum, the
// weighted values) are merged in the end. Scores carry the factor log2(e), so that exponentials are powers of two. Nothing is
// added atomically, so results do not depend on the order in which blocks run.
//
// A part is HEAD_DIM weighted values, the largest score, the sum; there are `parts` of them for each row and head: first those
// of the prompt, then the row's own.

#define PART (HEAD_DIM + 2)

// Of what a row has for itself: a block serves the GROUP query heads of one key/value head. MEMBERS threads share a key, of
// which each holds some elements; more of them where more heads would not fit into registers.
#define WARPS 4
#define MEMBERS (GROUP * HEAD_DIM <= 512 ? 8 : GROUP * HEAD_DIM <= 1024 ? 16 : 32)
#define PACKS (HEAD_DIM / PACK)                  // HEAD_DIM is a multiple of PACK
#define OWN ((PACKS + MEMBERS - 1) / MEMBERS)    // packs of a thread
#define KEYS (WARPS * WARP / MEMBERS)            // keys at a time

// Of prompts: a warp has 16 queries. Tiles of keys and values are fetched while the ones before them are used, in two stages;
// in one where two do not fit into shared memory.
#define MOST_WARPS 8
#define ROW ((int)sizeof(scalar) * STRIDE)
#define MOST_BYTES (46 << 10)
#define TILE (4 * 64 * ROW <= MOST_BYTES ? 64 : 4 * 32 * ROW <= MOST_BYTES ? 32 : 16)  // keys
#define STAGES (4 * TILE * ROW <= MOST_BYTES ? 2 : 1)
#define TILE_BYTES (TILE * ROW)
#define LANE_PART (DIMS / 2 + 4)                 // floats that a lane has of the parts of 16 queries
#define MOST_SHARED 2                            // query tiles whose keys are divided among several warps
#define MERGE_BYTES (MOST_SHARED * LANE_PART * WARP * (int)sizeof(float))
#define MEMORY (2 * STAGES * TILE_BYTES > MERGE_BYTES ? 2 * STAGES * TILE_BYTES : MERGE_BYTES)

__device__ __forceinline__ float weight_of(float top, float highest) {
    return top == MINUS_INFINITY ? 0.0f : exp2_fast(top - highest);
}

// Starts to copy 16 bytes to shared memory, or zeros where there are none.
__device__ __forceinline__ void fetch(scalar* to, const scalar* from, bool has) {
#ifdef EMULATED
    emulated_cp_async(to, from, has ? 16 : 0);
#else
    unsigned address = (unsigned)__cvta_generic_to_shared(to);
    size_t source = __cvta_generic_to_global(from);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(source), "r"(has ? 16 : 0) : "memory");
#endif
}

// Closes a set of copies.
__device__ __forceinline__ void close_set() {
#ifdef EMULATED
    emulated_cp_async_commit();
#else
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until this thread has at most N sets of copies under way.
template <int N>
__device__ __forceinline__ void wait_for_sets() {
#ifdef EMULATED
    emulated_cp_async_wait(N);
#else
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
#endif
}

// Starts to copy TILE rows from `from` on, `stride` apart; zeros beyond `rows` and HEAD_DIM.
__device__ __forceinline__ void fetch_tile(scalar* tile, const scalar* from, size_t stride, int rows) {
    for (int index = threadIdx.x; index < TILE * (DIMS / PACK); index += blockDim.x) {
        int row = index / (DIMS / PACK), column = index % (DIMS / PACK) * PACK;
        bool has = row < rows && column < HEAD_DIM;
        fetch(tile + row * STRIDE + column, has ? from + row * stride + column : from, has);
    }
}

// What a warp knows of its 16 queries; a thread has of two of them what its fragments have.
struct Queries {
    float top[2], sum[2];
    float result[DIMS / 8][4];
};

// Takes in 16 keys and their values, from row `row` of the tiles on, of which `count` are seen.
__device__ __forceinline__ void take_in(Queries& state, const Left* query, const scalar* keys, const scalar* values, int row,
                                        int count, float factor) {
    float scores[2][4] = {};
    float highest[2] = {state.top[0], state.top[1]};
#pragma unroll
    for (int n = 0; n < 2; n++) {
#pragma unroll
        for (int s = 0; s < STEPS; s++) multiply(scores[n], query[s], transposed(keys, row + 8 * n, 16 * s));
#pragma unroll
        for (int i = 0; i < 4; i++) {
            bool seen = 8 * n + 2 * ((int)threadIdx.x % 4) + i % 2 < count;
            scores[n][i] = seen ? scores[n][i] * factor : MINUS_INFINITY;
            highest[i / 2] = larger(scores[n][i], highest[i / 2]);
        }
    }
#pragma unroll
    for (int i = 0; i < 2; i++) {
        highest[i] = larger(highest[i], __shfl_xor_sync(FULL, highest[i], 1));
        highest[i] = larger(highest[i], __shfl_xor_sync(FULL, highest[i], 2));
    }
    // The largest scores soon stay what they are.
    if (__ballot_sync(FULL, highest[0] > state.top[0] || highest[1] > state.top[1])) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            float shrink = weight_of(state.top[i], highest[i]);
            state.top[i] = highest[i];
            state.sum[i] *= shrink;
#pragma unroll
            for (int n = 0; n < DIMS / 8; n++) {
                state.result[n][2 * i] *= shrink;
                state.result[n][2 * i + 1] *= shrink;
            }
        }
    }
#pragma unroll
    for (int n = 0; n < 2; n++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            // A score that is NaN makes NaN of the sum.
            scores[n][i] = scores[n][i] == MINUS_INFINITY ? 0.0f : exp2_fast(scores[n][i] - state.top[i / 2]);
            state.sum[i / 2] += scores[n][i];
        }
    }
    Left probabilities = as_left(scores[0], scores[1]);
#pragma unroll
    for (int n = 0; n < DIMS / 8; n++) multiply(state.result[n], probabilities, straight(values, row, 8 * n));
}

// Adds the parts that another warp of this block has of the same queries.
__device__ __forceinline__ void add_lane_part(Queries& state, const float* part) {
#pragma unroll
    for (int i = 0; i < 2; i++) {
        float top = part[i * WARP], sum = part[(2 + i) * WARP];
        float highest = larger(state.top[i], top);
        float own = weight_of(state.top[i], highest), other = weight_of(top, highest);
        state.top[i] = highest;
        state.sum[i] = state.sum[i] * own + sum * other;
#pragma unroll
        for (int n = 0; n < DIMS / 8; n++) {
#pragma unroll
            for (int j = 2 * i; j < 2 * i + 2; j++) {
                state.result[n][j] = state.result[n][j] * own + part[(4 + 4 * n + j) * WARP] * other;
            }
        }
    }
}

__device__ __forceinline__ void keep_lane_part(const Queries& state, float* part) {
#pragma unroll
    for (int i = 0; i < 2; i++) {
        part[i * WARP] = state.top[i];
        part[(2 + i) * WARP] = state.sum[i];
    }
#pragma unroll
    for (int n = 0; n < DIMS / 8; n++) {
#pragma unroll
        for (int j = 0; j < 4; j++) part[(4 + 4 * n + j) * WARP] = state.result[n][j];
    }
}

// Writes the parts of queries (rows, heads), of which group g has first token, token after the last, first row, row after the
// last. `end` tokens of each row follow its prompt. The grid is (groups * row_blocks * splits, kv_heads).
extern "C" __global__ void __launch_bounds__(MOST_WARPS* WARP)
    prompt_attention(const scalar* q, const scalar* keys, const scalar* values, const unsigned* groups, float* partial,
                     unsigned kv_heads, unsigned row_blocks, unsigned splits, unsigned parts, unsigned end, float scale,
                     unsigned window) {
    __shared__ __align__(16) char memory[MEMORY];
    const unsigned* group = groups + (size_t)4 * (blockIdx.x / splits / row_blocks);
    int warps = blockDim.x / WARP, warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    int first_query = blockIdx.x / splits % row_blocks * warps * 16;
    int queries = (group[3] - group[2]) * GROUP - first_query;  // of this block and those after it
    if (queries <= 0) return;
    // Warps that have no queries of their own share the keys with those that have.
    int tiles = queries <= 16 ? 1 : queries <= 32 ? 2 : warps;
    int ways = tiles <= MOST_SHARED ? warps / tiles : 1;
    int tile = warp % tiles, way = warp / tiles;
    bool active = way < ways && 16 * tile < queries;

    Left query[STEPS];
    float* own_parts[2];
    const scalar* own_queries[2];
#pragma unroll
    for (int i = 0; i < 2; i++) {
        int index = 16 * tile + lane / 4 + 8 * i;
        size_t row = group[2] + (first_query + index) / GROUP;
        size_t head = (row * kv_heads + blockIdx.y) * GROUP + (first_query + index) % GROUP;
        bool has = active && index < queries;
        own_queries[i] = has ? q + head * HEAD_DIM : 0;
        own_parts[i] = has && way == 0 ? partial + (head * parts + blockIdx.x % splits) * PART : 0;
    }
#pragma unroll
    for (int s = 0; s < STEPS; s++) query[s] = rows_of(own_queries[0], own_queries[1], 16 * s);

    // The keys of this block: a share of those that are seen, which all rows see because they are of one length.
    int length = group[1] - group[0], seen = window > end ? window - end : 0;
    int first = seen < length ? length - seen : 0;
    int share = (length - first + splits - 1) / splits;
    int begin = first + blockIdx.x % splits * share, stop = begin + share < length ? begin + share : length;
    size_t stride = (size_t)kv_heads * HEAD_DIM;
    size_t source = (group[0] + (size_t)begin) * stride + (size_t)blockIdx.y * HEAD_DIM;
    int turns = begin < stop ? (stop - begin + TILE - 1) / TILE : 0;

    Queries state;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        state.top[i] = MINUS_INFINITY;
        state.sum[i] = 0.0f;
    }
#pragma unroll
    for (int n = 0; n < DIMS / 8; n++) {
#pragma unroll
        for (int j = 0; j < 4; j++) state.result[n][j] = 0.0f;
    }
    auto start = [&](int turn) {
        scalar* to = (scalar*)memory + turn % STAGES * 2 * TILE * STRIDE;
        size_t from = source + turn * TILE * stride;
        int rows = stop - begin - turn * TILE;
        fetch_tile(to, keys + from, stride, rows);
        fetch_tile(to + TILE * STRIDE, values + from, stride, rows);
    };
    if (turns > 0) start(0);
    close_set();
    for (int turn = 0; turn < turns; turn++) {
        if (STAGES == 2) {
            if (turn + 1 < turns) start(turn + 1);
            close_set();
        }
        wait_for_sets<STAGES - 1>();
        __syncthreads();
        const scalar* tile_keys = (scalar*)memory + turn % STAGES * 2 * TILE * STRIDE;
        int rows = stop - begin - turn * TILE;
        if (active) {
#pragma unroll 1
            for (int row = 16 * way; row < TILE && row < rows; row += 16 * ways)
                take_in(state, query, tile_keys, tile_keys + TILE * STRIDE, row, rows - row, scale * LOG2_E);
        }
        __syncthreads();
        if (STAGES == 1) {
            if (turn + 1 < turns) start(turn + 1);
            close_set();
        }
    }
#pragma unroll
    for (int i = 0; i < 2; i++) {
        state.sum[i] += __shfl_xor_sync(FULL, state.sum[i], 1);
        state.sum[i] += __shfl_xor_sync(FULL, state.sum[i], 2);
    }
    float* part = (float*)memory + tile * LANE_PART * WARP + lane;
    for (int other = 1; other < ways; other++) {
        if (way == other) keep_lane_part(state, part);
        __syncthreads();
        if (way == 0) add_lane_part(state, part);
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < 2; i++) {
        if (!own_parts[i]) continue;
#pragma unroll
        for (int n = 0; n < DIMS / 8; n++) {
#pragma unroll
            for (int j = 0; j < 2; j++) {
                int column = 8 * n + 2 * (lane % 4) + j;
                if (HEAD_DIM == DIMS || column < HEAD_DIM) own_parts[i][column] = state.result[n][2 * i + j];
            }
        }
        if (lane % 4 == 0) {
            own_parts[i][HEAD_DIM] = state.top[i];
            own_parts[i][HEAD_DIM + 1] = state.sum[i];
        }
    }
}

struct State {
    float top, sum;
    float result[OWN * PACK];
};

// Merges what the lane `distance` away has.
__device__ __forceinline__ void merge(State& state, int distance) {
    float top = __shfl_xor_sync(FULL, state.top, distance), sum = __shfl_xor_sync(FULL, state.sum, distance);
    float highest = larger(state.top, top);
    float own = weight_of(state.top, highest), other = weight_of(top, highest);
    state.top = highest;
    state.sum = state.sum * own + sum * other;
#pragma unroll
    for (int i = 0; i < OWN * PACK; i++) {
        float result = __shfl_xor_sync(FULL, state.result[i], distance);
        state.result[i] = state.result[i] * own + result * other;
    }
}

// This thread's elements of a key or a value, not widened.
struct Share {
    Vector packs[OWN];
};

__device__ __forceinline__ Share share_of(const scalar* from, bool has) {
    Share share;
#pragma unroll
    for (int o = 0; o < OWN; o++) {
        int pack = o * MEMBERS + threadIdx.x % MEMBERS;
        share.packs[o] = Vector{};
        if (has && pack < PACKS) share.packs[o] = *(const Vector*)(from + pack * PACK);
    }
    return share;
}

__device__ __forceinline__ void widen(float* to, const Share& share) {
#pragma unroll
    for (int o = 0; o < OWN; o++) {
#pragma unroll
        for (int i = 0; i < PACK; i++) to[o * PACK + i] = widen(share.packs[o].at[i]);
    }
}

// Attends to a row's own slots `start` to `end` and merges what prompt_attention has left of the prompt in `shared` parts. Where
// the slots are divided among several blocks, the merging is left to decode_attention_merge. The grid is (rows * kv_heads,
// blocks per row).
extern "C" __global__ void __launch_bounds__(WARPS* WARP)
    decode_attention(const scalar* q, const scalar* keys, const scalar* values, scalar* out, float* partial, unsigned kv_heads,
                     unsigned slots, unsigned start, unsigned end, float scale, unsigned shared, unsigned parts) {
    __shared__ float tops[WARPS][GROUP], sums[WARPS][GROUP], results[WARPS][GROUP][HEAD_DIM];
    unsigned lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, member = lane % MEMBERS;
    unsigned share = (end - start + gridDim.y - 1) / gridDim.y;
    unsigned begin = start + blockIdx.y * share, stop = begin + share < end ? begin + share : end;
    size_t head = (size_t)blockIdx.x * GROUP;  // first query head, over all rows
    const scalar* own_keys = keys + (size_t)blockIdx.x * slots * HEAD_DIM;
    const scalar* own_values = values + (size_t)blockIdx.x * slots * HEAD_DIM;
    State states[GROUP];
    float query[GROUP][OWN * PACK];
#pragma unroll
    for (int g = 0; g < GROUP; g++) {
        states[g].top = MINUS_INFINITY;
        states[g].sum = 0.0f;
        widen(query[g], share_of(q + (head + g) * HEAD_DIM, true));
#pragma unroll
        for (int i = 0; i < OWN * PACK; i++) {
            query[g][i] *= scale * LOG2_E;
            states[g].result[i] = 0.0f;
        }
    }
    // All threads of a warp take the same number of turns, because they exchange sums. The next key and value are on their way
    // while this turn's are used.
    unsigned slot = begin + threadIdx.x / MEMBERS;
    Share next_key = share_of(own_keys + (size_t)slot * HEAD_DIM, slot < stop);
    Share next_value = share_of(own_values + (size_t)slot * HEAD_DIM, slot < stop);
#pragma unroll 1
    for (unsigned at = begin; at < stop; at += KEYS) {
        bool has = slot < stop;
        float key[OWN * PACK], value[OWN * PACK];
        widen(key, next_key);
        widen(value, next_value);
        slot += KEYS;
        next_key = share_of(own_keys + (size_t)slot * HEAD_DIM, slot < stop);
        next_value = share_of(own_values + (size_t)slot * HEAD_DIM, slot < stop);
#pragma unroll
        for (int g = 0; g < GROUP; g++) {
            float score = 0.0f;
#pragma unroll
            for (int i = 0; i < OWN * PACK; i++) score += query[g][i] * key[i];
#pragma unroll
            for (int d = 1; d < MEMBERS; d *= 2) score += __shfl_xor_sync(FULL, score, d);
            if (has) {
                float highest = larger(score, states[g].top);
                float shrink = weight_of(states[g].top, highest);
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
        float* part = partial + (head + g) * parts * PART;
        unsigned merged = gridDim.y == 1 ? shared : 0;
        for (unsigned s = 0; s < merged; s++) top = larger(part[s * PART + HEAD_DIM], top);
        for (int w = 0; w < WARPS; w++) top = larger(tops[w][g], top);
        for (unsigned s = 0; s < merged; s++) {
            float weight = weight_of(part[s * PART + HEAD_DIM], top);
            sum += part[s * PART + HEAD_DIM + 1] * weight;
            result += part[s * PART + column] * weight;
        }
        for (int w = 0; w < WARPS; w++) {
            float weight = weight_of(tops[w][g], top);
            sum += sums[w][g] * weight;
            result += results[w][g][column] * weight;
        }
        if (gridDim.y == 1) {
            out[(head + g) * HEAD_DIM + column] = narrow(result / sum);
        } else {
            part += (shared + blockIdx.y) * PART;
            part[column] = result;
            if (column == 0) {
                part[HEAD_DIM] = top;
                part[HEAD_DIM + 1] = sum;
            }
        }
    }
}

// Merges the parts of each row and head.
extern "C" __global__ void decode_attention_merge(const float* partial, scalar* out, unsigned parts) {
    const float* part = partial + (size_t)blockIdx.x * parts * PART;
    float top = MINUS_INFINITY;
    for (unsigned s = 0; s < parts; s++) top = larger(part[s * PART + HEAD_DIM], top);
    for (unsigned column = threadIdx.x; column < HEAD_DIM; column += blockDim.x) {
        float sum = 0.0f, result = 0.0f;
        for (unsigned s = 0; s < parts; s++) {
            float weight = weight_of(part[s * PART + HEAD_DIM], top);
            sum += part[s * PART + HEAD_DIM + 1] * weight;
            result += part[s * PART + column] * weight;
        }
        out[(size_t)blockIdx.x * HEAD_DIM + column] = narrow(result / sum);
    }
}
