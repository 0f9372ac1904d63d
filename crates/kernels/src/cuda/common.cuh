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

#ifdef HEAD_DIM
// Products of matrices in fragments of 16 x 8 x 16 that a warp holds together: by tensor cores for bf16, by shuffles and plain
// arithmetic in the same layout for float. Tiles in shared memory have rows of HEAD_DIM scalars, STRIDE apart.

#define DIMS ((HEAD_DIM + 15) / 16 * 16)  // with zeros up to a multiple of 16
#define STRIDE (DIMS + PACK)              // of a tile's rows in shared memory; the gap spreads them over the banks
#define STEPS (DIMS / 16)

struct Left {  // a fragment of 16 rows by 16
#ifdef BF16
    unsigned r[4];
#else
    float r[8];
#endif
};

struct Right {  // a fragment of 16 by 8 columns
#ifdef BF16
    unsigned r[2];
#else
    float r[4];
#endif
};

__device__ __forceinline__ void multiply(float* c, const Left& a, const Right& b) {
#ifdef BF16
#ifdef EMULATED
    emulated_mma(c, a.r, b.r);
#else
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "r"(b.r[0]), "r"(b.r[1]));
#endif
#else
    int lane = threadIdx.x % WARP, group = lane / 4, member = lane % 4;
#pragma unroll
    for (int half = 0; half < 2; half++) {
#pragma unroll 1  // unrolled the program would be three times as long, and take the assembler ten times as long
        for (int from = 0; from < 4; from++) {
#pragma unroll
            for (int i = 0; i < 2; i++) {
                float upper = __shfl_sync(FULL, a.r[4 * half + i], 4 * group + from);
                float lower = __shfl_sync(FULL, a.r[4 * half + 2 + i], 4 * group + from);
                float left = __shfl_sync(FULL, b.r[2 * half + i], 8 * member + from);
                float right = __shfl_sync(FULL, b.r[2 * half + i], 8 * member + 4 + from);
                c[0] += upper * left;
                c[1] += upper * right;
                c[2] += lower * left;
                c[3] += lower * right;
            }
        }
    }
#endif
}

// Rows `upper` and `lower` of a matrix in global memory, columns `column` to `column` + 15; zeros where a row is null.
__device__ __forceinline__ Left rows_of(const scalar* upper, const scalar* lower, int column) {
    Left a;
    int member = threadIdx.x % 4;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int at = column + 8 * half + 2 * member;
        bool inside = HEAD_DIM == DIMS || at < HEAD_DIM;
#ifdef BF16
        a.r[2 * half] = upper && inside ? *(const unsigned*)(upper + at) : 0;
        a.r[2 * half + 1] = lower && inside ? *(const unsigned*)(lower + at) : 0;
#else
#pragma unroll
        for (int i = 0; i < 2; i++) {
            a.r[4 * half + i] = upper && inside ? upper[at + i] : 0.0f;
            a.r[4 * half + 2 + i] = lower && inside ? lower[at + i] : 0.0f;
        }
#endif
    }
    return a;
}

// Two fragments of results next to each other as a left factor.
__device__ __forceinline__ Left as_left(const float* first, const float* second) {
    Left a;
#ifdef BF16
    a.r[0] = pack(first[0], first[1]);
    a.r[1] = pack(first[2], first[3]);
    a.r[2] = pack(second[0], second[1]);
    a.r[3] = pack(second[2], second[3]);
#else
#pragma unroll
    for (int i = 0; i < 4; i++) {
        a.r[i] = first[i];
        a.r[4 + i] = second[i];
    }
#endif
    return a;
}

// The right factor whose column n is row `row` + n of the tile, from `column` on.
__device__ __forceinline__ Right transposed(const scalar* tile, int row, int column) {
    Right b;
    int lane = threadIdx.x % WARP;
    const scalar* from = tile + (row + lane / 4) * STRIDE + column + 2 * (lane % 4);
#ifdef BF16
    b.r[0] = *(const unsigned*)from;
    b.r[1] = *(const unsigned*)(from + 8);
#else
    b.r[0] = from[0];
    b.r[1] = from[1];
    b.r[2] = from[8];
    b.r[3] = from[9];
#endif
    return b;
}

// The right factor whose row n is row `row` + n of the tile, columns `column` to `column` + 7.
__device__ __forceinline__ Right straight(const scalar* tile, int row, int column) {
    Right b;
    int lane = threadIdx.x % WARP;
#ifdef BF16
    const scalar* from = tile + (row + lane % 16) * STRIDE + column;
#ifdef EMULATED
    emulated_ldmatrix_x2_trans(b.r, from);
#else
    unsigned address = (unsigned)__cvta_generic_to_shared(from);
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(b.r[0]), "=r"(b.r[1])
                 : "r"(address)
                 : "memory");
#endif
#else
    const scalar* from = tile + (row + 2 * (lane % 4)) * STRIDE + column + lane / 4;
    b.r[0] = from[0];
    b.r[1] = from[STRIDE];
    b.r[2] = from[8 * STRIDE];
    b.r[3] = from[9 * STRIDE];
#endif
    return b;
}
#endif
