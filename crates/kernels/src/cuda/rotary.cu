// Turns x (tokens, heads, 2 half) by each token's position, or back where `sign` is -1. `table` holds the cosines of all
// positions (positions, half), then their sines. A thread turns up to PACK pairs of elements.
extern "C" __global__ void rotary_turn(const scalar* x, const float* table, const unsigned* positions, scalar* y,
                                       unsigned tokens, unsigned heads, unsigned half, unsigned table_positions, float sign) {
    unsigned packs = (half + PACK - 1) / PACK;
    size_t index = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= (size_t)tokens * heads * packs) return;
    unsigned i = index % packs * PACK;
    size_t head = index / packs;
    const float* cosines = table + (size_t)positions[head / heads] * half + i;
    const float* sines = cosines + (size_t)table_positions * half;
    float first[PACK], second[PACK];
    int count = half - i;
    load(first, x + head * 2 * half + i, count);
    load(second, x + head * 2 * half + half + i, count);
#pragma unroll
    for (int j = 0; j < PACK; j++) {
        if (j < count) {
            float c = cosines[j], s = sign * sines[j], a = first[j], b = second[j];
            first[j] = a * c - b * s;
            second[j] = b * c + a * s;
        }
    }
    store(y + head * 2 * half + i, first, count);
    store(y + head * 2 * half + half + i, second, count);
}
