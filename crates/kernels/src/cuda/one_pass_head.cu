// The head of a decode step over one chunk of the vocabulary at a time: see one_pass_head.rs. One block per row.

#define THREADS 256
#define TILE 512  // tokens of a sampler's tile

struct State {  // of a row: running maximum of z, sum and first moment of e^((z - top) / T)
    double sum, first, top;
};

// What becomes of exponents when their maximum rises; without a maximum nothing has been summed yet.
__device__ __forceinline__ float shift_of(float before, float after, float inverse_temperature) {
    return before == MINUS_INFINITY ? 0.0f : (before - after) * inverse_temperature;
}

// The place at which the cumulated weights pass the share `u` of their sum, found by a warp; places without weight are never
// taken, and the last with weight is where rounding keeps the sum below the goal. Also returns the sum.
__device__ __forceinline__ int place(const float* weights, int count, double u, double* total) {
    int lane = threadIdx.x % WARP, share = (count + WARP - 1) / WARP;
    int begin = lane * share, end = begin + share < count ? begin + share : count;
    double own = 0.0;
    for (int i = begin; i < end; i++) own += weights[i] > 0.0f ? weights[i] : 0.0f;
    double upto = own;
    for (int d = 1; d < WARP; d *= 2) {
        double before = __shfl_up_sync(FULL, upto, d);
        if (lane >= d) upto += before;
    }
    *total = __shfl_sync(FULL, upto, WARP - 1);
    double goal = u * *total;
    unsigned passed = __ballot_sync(FULL, own > 0.0 && upto > goal), any = __ballot_sync(FULL, own > 0.0);
    int chosen = passed ? __ffs(passed) - 1 : any ? WARP - 1 - __clz(any) : 0;
    int found = 0;
    if (lane == chosen) {
        double sum = upto - own;
        for (int i = begin; i < end; i++) {
            if (weights[i] > 0.0f) {
                found = i;
                sum += weights[i];
                if (sum > goal) break;
            }
        }
    }
    return __shfl_sync(FULL, found, chosen);
}

// Goes on by the logits (rows, tokens) of a chunk that begins at token `first`: turns them into e^((z - top) / T), which `weights`
// gets as scalars, draws a candidate per tile, updates the states, and shrinks `expected` (rows, width) where the maximum rose.
extern "C" __global__ void __launch_bounds__(THREADS)
    head_chunk(float* logits, scalar* weights, State* states, float* expected, const double* uniforms, unsigned* candidates,
               float* candidate_logs, float* masses, float* tops, unsigned tokens, unsigned first, unsigned tiles,
               unsigned width, float inverse_temperature) {
    __shared__ float highest[THREADS / WARP], moments[THREADS / WARP], sums[THREADS / WARP];
    unsigned lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    float* row = logits + (size_t)blockIdx.x * tokens;
    State* state = states + blockIdx.x;
    float before = (float)state->top, top = before;
    for (unsigned v = threadIdx.x; v < tokens; v += THREADS) top = larger(row[v], top);
    for (int d = WARP / 2; d > 0; d /= 2) top = larger(top, __shfl_xor_sync(FULL, top, d));
    if (lane == 0) highest[warp] = top;
    __syncthreads();
    for (int w = 0; w < THREADS / WARP; w++) top = larger(highest[w], top);
    float moment = 0.0f, sum = 0.0f;
    for (unsigned tile = warp; tile * TILE < tokens; tile += THREADS / WARP) {
        int count = tokens - tile * TILE < TILE ? tokens - tile * TILE : TILE;
        float* own = row + tile * TILE;
        size_t at = (size_t)blockIdx.x * tiles + first / TILE + tile;
        for (int i = lane; i < count; i += WARP) {
            float x = (own[i] - top) * inverse_temperature, e = expf(x);
            // A logit of minus infinity counts for nothing.
            if (e != 0.0f) moment += x * e;
            sum += e;
            own[i] = e;
            weights[(size_t)blockIdx.x * tokens + tile * TILE + i] = narrow(e);
        }
        __syncwarp();
        double mass;
        int found = place(own, count, uniforms[2 * blockIdx.x], &mass);
        if (lane == 0) {
            candidates[at] = first + tile * TILE + found;
            candidate_logs[at] = logf(own[found]);
            masses[at] = (float)mass;
            tops[at] = top;
        }
    }
    sum = warp_sum(sum);
    moment = warp_sum(moment);
    if (lane == 0) {
        sums[warp] = sum;
        moments[warp] = moment;
    }
    __syncthreads();
    float shift = shift_of(before, top, inverse_temperature);
    if (threadIdx.x == 0) {
        double factor = exp((double)shift);
        double all = 0.0, first_moment = factor * (state->first + shift * state->sum);
        for (int w = 0; w < THREADS / WARP; w++) {
            all += sums[w];
            first_moment += moments[w];
        }
        state->sum = factor * state->sum + all;
        state->first = first_moment;
        state->top = top;
    }
    if (shift != 0.0f) {
        float factor = expf(shift);
        for (unsigned i = threadIdx.x; i < width; i += THREADS) expected[(size_t)blockIdx.x * width + i] *= factor;
    }
}

// Picks each row's tile. Results are (rows, 3): token, log-probability and entropy, the latter two as the bits of floats. With
// features (`width` > 0), `expected` becomes phi = W[y] - expected / sum.
extern "C" __global__ void __launch_bounds__(THREADS)
    head_finish(const State* states, const double* uniforms, const unsigned* candidates, const float* candidate_logs,
                float* masses, const float* tops, const scalar* head, float* expected, unsigned* results, unsigned tiles,
                unsigned width, float inverse_temperature) {
    __shared__ unsigned token;
    State state = states[blockIdx.x];
    size_t base = (size_t)blockIdx.x * tiles;
    for (unsigned tile = threadIdx.x; tile < tiles; tile += THREADS)
        masses[base + tile] *= expf(shift_of(tops[base + tile], (float)state.top, inverse_temperature));
    __syncthreads();
    if (threadIdx.x < WARP) {
        double total;
        int tile = place(masses + base, tiles, uniforms[2 * blockIdx.x + 1], &total);
        if (threadIdx.x == 0) {
            token = candidates[base + tile];
            double log_sum = log(state.sum);
            float shift = shift_of(tops[base + tile], (float)state.top, inverse_temperature);
            float logprob = (float)((double)candidate_logs[base + tile] + shift - log_sum);
            results[3 * blockIdx.x] = token;
            results[3 * blockIdx.x + 1] = __float_as_uint(logprob);
            results[3 * blockIdx.x + 2] = __float_as_uint((float)(log_sum - state.first / state.sum));
        }
    }
    __syncthreads();
    float scale = (float)(1.0 / state.sum);
    const scalar* embedding = head + (size_t)token * width;
    for (unsigned i = threadIdx.x; i < width; i += THREADS) {
        size_t at = (size_t)blockIdx.x * width + i;
        expected[at] = widen(embedding[i]) - expected[at] * scale;
    }
}

// sums[index[row]] += alpha[row] phi[row]; rows have different indices, and those with alpha 0 are left out. A block per row.
extern "C" __global__ void head_add_features(const float* phi, const unsigned* index, const float* alpha, float* sums,
                                             unsigned width) {
    if (alpha[blockIdx.x] == 0.0f) return;
    for (unsigned i = threadIdx.x; i < width; i += blockDim.x)
        sums[(size_t)index[blockIdx.x] * width + i] += alpha[blockIdx.x] * phi[(size_t)blockIdx.x * width + i];
}
