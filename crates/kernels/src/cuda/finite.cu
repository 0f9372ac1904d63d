// Whether all of n elements are finite.

// Sets the flag where one is not. Whichever threads do, they all store the same.
extern "C" __global__ void find_not_finite(const scalar* x, unsigned* flag, size_t n) {
    bool found = false;
    for (size_t i = ((size_t)blockIdx.x * blockDim.x + threadIdx.x) * PACK; i < n; i += (size_t)gridDim.x * blockDim.x * PACK) {
        float values[PACK];
        load(values, x + i, left_of(n, i));
#pragma unroll
        for (int j = 0; j < PACK; j++) found |= !(fabsf(values[j]) <= 3.4028235e38f);
    }
    if (found) *flag = 1;
}
