// Draws from the likeliest tokens only: see truncated.rs. A block per row of logits (rows, vocabulary).
//
// A warp owns consecutive tokens, so that ties go to the first of them and the draw follows the order of the vocabulary.
// Probabilities are added up as whole numbers, whose sums are the same in any order.

#define THREADS 512
#define WARPS (THREADS / WARP)

// The likeliest token, the first of several; a first logit that is not a number is never exceeded.
extern "C" __global__ void __launch_bounds__(THREADS)
    likeliest(const float* logits, unsigned* results, unsigned vocabulary) {
    __shared__ float highest[WARPS];
    __shared__ unsigned places[WARPS];
    const float* row = logits + (size_t)blockIdx.x * vocabulary;
    float best = row[0];
    unsigned place = 0;
    for (unsigned v = threadIdx.x; v < vocabulary; v += THREADS) {
        if (row[v] > best) {
            best = row[v];
            place = v;
        }
    }
    for (int d = WARP / 2; d > 0; d /= 2) {
        float other = __shfl_xor_sync(FULL, best, d);
        unsigned there = __shfl_xor_sync(FULL, place, d);
        if (other > best || (other == best && there < place)) {
            best = other;
            place = there;
        }
    }
    if (threadIdx.x % WARP == 0) {
        highest[threadIdx.x / WARP] = best;
        places[threadIdx.x / WARP] = place;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int w = 1; w < WARPS; w++) {
            if (highest[w] > best || (highest[w] == best && places[w] < place)) {
                best = highest[w];
                place = places[w];
            }
        }
        results[3 * blockIdx.x] = place;
        results[3 * blockIdx.x + 1] = __float_as_uint(0.0f);
        results[3 * blockIdx.x + 2] = __float_as_uint(0.0f);
    }
}

typedef unsigned long long Mass;
#define ONE 4611686018427387904.0f  // 2^62, the mass of probability 1

__device__ __forceinline__ Mass mass_of(float p) { return (Mass)(p * ONE); }

__device__ __forceinline__ Mass warp_mass(Mass x) {
#pragma unroll
    for (int d = WARP / 2; d > 0; d /= 2) x += __shfl_xor_sync(FULL, x, d);
    return x;
}

// The sum over the block, in one order.
__device__ __forceinline__ float block_sum(float x, float* parts) {
    x = warp_sum(x);
    if (threadIdx.x % WARP == 0) parts[threadIdx.x / WARP] = x;
    __syncthreads();
    x = 0.0f;
    for (int w = 0; w < WARPS; w++) x += parts[w];
    __syncthreads();
    return x;
}

__device__ __forceinline__ Mass block_mass(Mass x, Mass* parts) {
    x = warp_mass(x);
    if (threadIdx.x % WARP == 0) parts[threadIdx.x / WARP] = x;
    __syncthreads();
    x = 0;
    for (int w = 0; w < WARPS; w++) x += parts[w];
    __syncthreads();
    return x;
}

// Bits of the least likely token's probability that are found per pass, of the 30 that a probability has: it is at most 1, give
// or take its last bit.
#define DIGIT 3
#define CUTS ((1 << DIGIT) - 1)
#define BITS 30

// From logits z at temperature T: p = softmax(z / T), of which stays what is among the `most` likeliest, has less than `enough` of
// the mass before it, and is not below `least`; ties are in the order of the vocabulary. The logits become what stays, divided by
// its sum, of which `weights` gets a copy in scalars where it is wanted; a token is drawn from it by the row's uniform number.
// Results are (rows, 3): token, log-probability and entropy, the latter two as the bits of floats.
extern "C" __global__ void __launch_bounds__(THREADS)
    truncated_draw(float* logits, scalar* weights, const double* uniforms, unsigned* results, unsigned vocabulary, unsigned most,
             Mass enough, float least, float inverse_temperature, unsigned wants_weights) {
    __shared__ float parts[WARPS];
    __shared__ Mass masses[CUTS][WARPS];
    __shared__ unsigned counts[CUTS][WARPS], ties[WARPS];
    unsigned lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    float* row = logits + (size_t)blockIdx.x * vocabulary;
    scalar* weight = weights + (size_t)blockIdx.x * vocabulary;
    unsigned* result = results + 3 * (size_t)blockIdx.x;
    unsigned share = (vocabulary + THREADS - 1) / THREADS * WARP;
    unsigned begin = warp * share < vocabulary ? warp * share : vocabulary;
    unsigned end = begin + share < vocabulary ? begin + share : vocabulary;

    float top = MINUS_INFINITY;
    for (unsigned v = begin + lane; v < end; v += WARP) top = larger(row[v], top);
    for (int d = WARP / 2; d > 0; d /= 2) top = larger(top, __shfl_xor_sync(FULL, top, d));
    if (lane == 0) parts[warp] = top;
    __syncthreads();
    for (int w = 0; w < WARPS; w++) top = larger(parts[w], top);
    __syncthreads();
    float sum = 0.0f;
    for (unsigned v = begin + lane; v < end; v += WARP) {
        float e = expf((row[v] - top) * inverse_temperature);
        row[v] = e;
        sum += e;
    }
    sum = block_sum(sum, parts);
    if (!(sum <= 3.4028235e38f)) {
        // A logit is not a number or infinite, and so is nothing that follows.
        float nothing = __int_as_float(0x7fc00000);
        if (wants_weights) {
            for (unsigned v = begin + lane; v < end; v += WARP) weight[v] = narrow(nothing);
        }
        if (threadIdx.x == 0) {
            result[0] = 0;
            result[1] = __float_as_uint(nothing);
            result[2] = __float_as_uint(nothing);
        }
        return;
    }
    float scale = 1.0f / sum;
    for (unsigned v = begin + lane; v < end; v += WARP) row[v] *= scale;

    // The largest probability such that it and what is likelier are enough, digit by digit: the bits of floats that are not
    // negative have their order.
    unsigned threshold = 0;
    for (int shift = BITS - DIGIT; shift >= 0; shift -= DIGIT) {
        unsigned count[CUTS];
        Mass mass[CUTS];
#pragma unroll
        for (int c = 0; c < CUTS; c++) count[c] = 0, mass[c] = 0;
#pragma unroll 4
        for (unsigned v = begin + lane; v < end; v += WARP) {
            float p = row[v];
            unsigned bits = __float_as_uint(p);
            if (bits < threshold + (1u << shift)) continue;  // as nearly all are
            Mass own = mass_of(p);
#pragma unroll
            for (int c = 0; c < CUTS; c++) {
                if (bits >= threshold + ((c + 1u) << shift)) {
                    count[c]++;
                    mass[c] += own;
                }
            }
        }
#pragma unroll
        for (int c = 0; c < CUTS; c++) {
            Mass of_warp = warp_mass(mass[c]), counted = warp_mass(count[c]);
            if (lane == 0) {
                masses[c][warp] = of_warp;
                counts[c][warp] = (unsigned)counted;
            }
        }
        __syncthreads();
        unsigned digit = 0;
        for (int c = 0; c < CUTS; c++) {
            Mass of_all = 0, counted = 0;
            for (int w = 0; w < WARPS; w++) {
                of_all += masses[c][w];
                counted += counts[c][w];
            }
            if (counted >= most || of_all >= enough) digit = c + 1;
        }
        threshold += digit << shift;
        __syncthreads();
    }

    // What is likelier than the threshold stays, and as many of those that are equal to it, from the first on, as it takes.
    unsigned above = 0, equal = 0;
    Mass of_above = 0;
    for (unsigned v = begin + lane; v < end; v += WARP) {
        unsigned bits = __float_as_uint(row[v]);
        if (bits > threshold) {
            above++;
            of_above += mass_of(row[v]);
        }
        if (bits == threshold) equal++;
    }
    equal = (unsigned)warp_mass(equal);
    if (lane == 0) ties[warp] = equal;
    of_above = block_mass(of_above, masses[0]);
    Mass likelier = block_mass(above, masses[0]);
    Mass wanted = most > likelier ? most - likelier : 0, of_tie = mass_of(__int_as_float((int)threshold));
    if (of_tie > 0 && of_above < enough && enough != ~(Mass)0) {
        Mass by_mass = (enough - of_above + of_tie - 1) / of_tie;
        if (by_mass < wanted) wanted = by_mass;
    }
    unsigned rank = 0;  // among equal ones, of the warp's next
    for (unsigned w = 0; w < warp; w++) rank += ties[w];
    Mass kept = 0;
    for (unsigned first = begin; first < end; first += WARP) {
        unsigned v = first + lane;
        float p = v < end ? row[v] : 0.0f;
        unsigned bits = __float_as_uint(p);
        unsigned same = __ballot_sync(FULL, v < end && bits == threshold);
        unsigned before = rank + __popc(same & ((1u << lane) - 1));
        bool stays = p >= least && (bits > threshold || (bits == threshold && before < wanted));
        rank += __popc(same);
        if (v < end && !stays) row[v] = 0.0f;
        if (stays) kept += mass_of(p);
    }
    kept = block_mass(kept, masses[0]);
    scale = 1.0f / ((float)kept / ONE);
    float entropy = 0.0f;
    kept = 0;
    for (unsigned v = begin + lane; v < end; v += WARP) {
        float p = row[v] * scale;
        row[v] = p;
        if (p > 0.0f) entropy -= p * logf(p);
        if (wants_weights) weight[v] = narrow(p);
        kept += mass_of(p);
    }
    entropy = block_sum(entropy, parts);
    kept = warp_mass(kept);
    if (lane == 0) masses[0][warp] = kept;
    __syncthreads();

    // The place at which the cumulated mass passes the uniform share of it.
    Mass total = 0;
    for (int w = 0; w < WARPS; w++) total += masses[0][w];
    Mass goal = (Mass)(uniforms[blockIdx.x] * (double)total), before = 0;
    unsigned chosen = 0;
    Mass upto = 0;
    for (unsigned w = 0; w < WARPS; w++) {
        if (masses[0][w] == 0) continue;
        chosen = w;
        before = upto;
        upto += masses[0][w];
        if (upto > goal) break;
    }
    if (warp != chosen) return;
    unsigned token = 0;
    for (unsigned first = begin; first < end; first += WARP) {
        Mass own = first + lane < end ? mass_of(row[first + lane]) : 0, sum = own;
        for (int d = 1; d < WARP; d *= 2) {
            Mass other = __shfl_up_sync(FULL, sum, d);
            if (lane >= d) sum += other;
        }
        unsigned any = __ballot_sync(FULL, own > 0), passed = __ballot_sync(FULL, own > 0 && before + sum > goal);
        if (any) token = first + WARP - 1 - __clz(any);
        if (passed) {
            token = first + __ffs(passed) - 1;
            break;
        }
        before += __shfl_sync(FULL, sum, WARP - 1);
    }
    if (lane == 0) {
        result[0] = token;
        result[1] = __float_as_uint(logf(row[token]));
        result[2] = __float_as_uint(entropy);
    }
}
