// What a decoder layer does to the joined products of new tokens, a token per row. Nothing is copied on the way.

// joined (rows, heads + 2 kv_heads, 2 half) holds queries, keys and values. Queries and keys are normalised over `q_width` and
// `k_width` elements, a head's or all heads' (0: not at all), rounded, and turned by each row's position (not at all where
// `table_positions` is 0). `table` holds the cosines of all positions (positions, half), then their sines. Queries go to q
// (rows, heads, 2 half), keys and values to `slot` of the caches (rows, kv_heads, slots, 2 half). `lanes` threads, a power of
// two of them, have a head; each has up to PACK pairs of elements at a time.
extern "C" __global__ void place_heads(const scalar* joined, const scalar* q_weight, const scalar* k_weight, const float* table,
                                       const unsigned* positions, scalar* q, scalar* keys, scalar* values, unsigned rows,
                                       unsigned heads, unsigned kv_heads, unsigned half, unsigned lanes, unsigned q_width,
                                       unsigned k_width, float eps, float offset, unsigned table_positions, unsigned slots,
                                       unsigned slot) {
    unsigned all = heads + 2 * kv_heads, d = 2 * half, lane = threadIdx.x % lanes;
    size_t index = ((size_t)blockIdx.x * blockDim.x + threadIdx.x) / lanes;
    bool active = index < (size_t)rows * all;
    if (!active) index = 0;  // all threads of a warp exchange sums
    size_t row = index / all;
    unsigned head = index % all;
    bool is_query = head < heads, is_key = !is_query && head < heads + kv_heads;
    unsigned place = is_query ? head : is_key ? head - heads : head - heads - kv_heads;
    const scalar* from = joined + index * d;
    const scalar* weight = is_query ? q_weight : k_weight;
    unsigned width = is_query ? q_width : is_key ? k_width : 0;
    const scalar* normed = from;  // what is normalised together
    if (width > d) {
        normed -= (size_t)place * d;
        weight += (size_t)place * d;
    }
    float sum = 0.0f;
    for (unsigned i = lane * PACK; i < width; i += lanes * PACK) {
        float x[PACK];
        load(x, normed + i, width - i);
#pragma unroll
        for (int j = 0; j < PACK; j++) sum += x[j] * x[j];
    }
    for (unsigned distance = lanes / 2; distance > 0; distance /= 2) sum += __shfl_xor_sync(FULL, sum, distance);
    if (!active) return;
    float r = width ? 1.0f / sqrtf(sum / width + eps) : 0.0f;

    scalar* to = q + (row * heads + place) * d;
    if (!is_query) to = (is_key ? keys : values) + ((row * kv_heads + place) * slots + slot) * d;
    bool turns = table_positions && (is_query || is_key);
    const float* cosines = table + (turns ? (size_t)positions[row] * half : 0);
    const float* sines = cosines + (size_t)table_positions * half;
    for (unsigned i = lane * PACK; i < half; i += lanes * PACK) {
        int count = half - i;
        float first[PACK], second[PACK];
        load(first, from + i, count);
        load(second, from + half + i, count);
        if (width) {
            float w[PACK];
            load(w, weight + i, count);
#pragma unroll
            for (int j = 0; j < PACK; j++) first[j] = widen(narrow(first[j] * (r * (offset + w[j]))));
            load(w, weight + half + i, count);
#pragma unroll
            for (int j = 0; j < PACK; j++) second[j] = widen(narrow(second[j] * (r * (offset + w[j]))));
        }
        if (turns) {
#pragma unroll
            for (int j = 0; j < PACK; j++) {
                if (j < count) {
                    float c = cosines[i + j], s = sines[i + j], a = first[j], b = second[j];
                    first[j] = a * c - b * s;
                    second[j] = b * c + a * s;
                }
            }
        }
        store(to + i, first, count);
        store(to + half + i, second, count);
    }
}

// y (rows, width) = f(gate) * up for joined (rows, 2 width), gates first, with f(x) = x sigmoid(z); a block row per row.
#define OUTER 1.5957691216057308f  // 2 sqrt(2 / pi)
#define CUBIC 0.044715f

template <bool TANH>
__device__ __forceinline__ void activate(const scalar* joined, scalar* y, unsigned width) {
    unsigned i = (blockIdx.x * blockDim.x + threadIdx.x) * PACK;
    if (i >= width) return;
    const scalar* gate = joined + (size_t)blockIdx.y * 2 * width + i;
    float g[PACK], u[PACK];
    load(g, gate, width - i);
    load(u, gate + width, width - i);
#pragma unroll
    for (int j = 0; j < PACK; j++) {
        float z = TANH ? OUTER * g[j] * (1.0f + CUBIC * g[j] * g[j]) : g[j];
        g[j] = g[j] / (1.0f + expf(-z)) * u[j];
    }
    store(y + (size_t)blockIdx.y * width + i, g, width - i);
}

extern "C" __global__ void swiglu_joined(const scalar* joined, scalar* y, unsigned width) {
    activate<false>(joined, y, width);
}

extern "C" __global__ void geglu_joined(const scalar* joined, scalar* y, unsigned width) { activate<true>(joined, y, width); }
