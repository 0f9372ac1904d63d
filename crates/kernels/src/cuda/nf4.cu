// Matrices in NF4: two elements a byte, the first in the upper half, and a scale for every BLOCK elements.

#define BLOCK 64

// What the codes stand for.
__device__ const float LEVELS[16] = {-1.0f,          -0.69619280099f, -0.52507305145f, -0.39491748810f, -0.28444138169f, -0.18477343023f,
                                     -0.091050036252f, 0.0f,            0.079580299556f, 0.16093020141f,  0.24611230195f,  0.33791524172f,
                                     0.44070982933f, 0.56261700392f,  0.72295683622f,  1.0f};

// The bytes of PACK elements.
#ifdef BF16
typedef unsigned Bytes;
#else
typedef unsigned short Bytes;
#endif

// elements (n); PACK of them per thread, which have one scale.
extern "C" __global__ void nf4_decode(const unsigned char* codes, const float* scales, scalar* elements, unsigned long long n) {
    // The threads of a warp look up different levels, which shared memory gives them at once.
    __shared__ float levels[16];
    if (threadIdx.x < 16) levels[threadIdx.x] = LEVELS[threadIdx.x];
    __syncthreads();
    size_t i = ((size_t)blockIdx.x * blockDim.x + threadIdx.x) * PACK;
    if (i >= n) return;
    int count = left_of(n, i);
    const unsigned char* from = codes + i / 2;
    unsigned bytes = 0;
    if (count == PACK && ((size_t)from & (sizeof(Bytes) - 1)) == 0) {
        bytes = *(const Bytes*)from;
    } else {
        for (int b = 0; 2 * b < count; b++) bytes |= (unsigned)from[b] << (8 * b);
    }
    float scale = scales[i / BLOCK], values[PACK];
#pragma unroll
    for (int j = 0; j < PACK; j++) {
        unsigned code = bytes >> (j % 2 == 0 ? 4 * j + 4 : 4 * j - 4) & 15;
        values[j] = levels[code] * scale;
    }
    store(elements + i, values, count);
}
