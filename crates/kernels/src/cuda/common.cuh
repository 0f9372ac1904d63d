// What all kernels share. Compiled once per type of the tensors: `scalar` is bf16 where BF16 is defined, else float.
// Arithmetic is in float throughout. Nothing is included, so that the run-time compiler needs no header files.

#define WARP 32
#define FULL 0xffffffffu
#define LOG2_E 1.4426950408889634f
#define LN_2 0.6931471805599453f
#define MINUS_INFINITY (-__int_as_float(0x7f800000))

#ifdef BF16
struct bf16 {
    unsigned short bits;
};
typedef bf16 scalar;

__device__ __forceinline__ float widen(bf16 x) { return __uint_as_float((unsigned)x.bits << 16); }

// Two floats, rounded to nearest even, the first in the lower half.
__device__ __forceinline__ unsigned pack(float low, float high) {
#ifdef EMULATED
    return emulated_bf16(low) | (unsigned)emulated_bf16(high) << 16;
#else
    unsigned packed;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
    return packed;
#endif
}

__device__ __forceinline__ bf16 narrow(float x) {
    bf16 y;
    y.bits = (unsigned short)pack(x, 0.0f);
    return y;
}
#else
typedef float scalar;
__device__ __forceinline__ float narrow(float x) { return x; }
#endif
__device__ __forceinline__ float widen(float x) { return x; }

// 16 bytes of scalars: what one thread reads or writes at a time.
#define PACK (16 / (int)sizeof(scalar))
struct __align__(16) Vector {
    scalar at[PACK];
};

// How many of the PACK scalars from place i on are among the first n.
__device__ __forceinline__ int left_of(size_t n, size_t i) { return n - i < PACK ? (int)(n - i) : PACK; }

// The first `count` of PACK scalars from p on, zeros after them.
__device__ __forceinline__ void load(float* values, const scalar* p, int count) {
    if (count >= PACK && ((size_t)p & 15) == 0) {
        Vector vector = *(const Vector*)p;
#pragma unroll
        for (int i = 0; i < PACK; i++) values[i] = widen(vector.at[i]);
    } else {
#pragma unroll
        for (int i = 0; i < PACK; i++) values[i] = i < count ? widen(p[i]) : 0.0f;
    }
}

__device__ __forceinline__ void store(scalar* p, const float* values, int count) {
    if (count >= PACK && ((size_t)p & 15) == 0) {
        Vector vector;
#pragma unroll
        for (int i = 0; i < PACK; i++) vector.at[i] = narrow(values[i]);
        *(Vector*)p = vector;
    } else {
#pragma unroll
        for (int i = 0; i < PACK; i++) {
            if (i < count) p[i] = narrow(values[i]);
        }
    }
}

__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
    for (int d = WARP / 2; d > 0; d /= 2) x += __shfl_xor_sync(FULL, x, d);
    return x;
}

__device__ __forceinline__ float larger(float a, float b) { return a > b ? a : b; }

// 2^x to within a few units in the last place; 0 for minus infinity.
__device__ __forceinline__ float exp2_fast(float x) {
#ifdef EMULATED
    return exp2f(x);
#else
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#endif
}
