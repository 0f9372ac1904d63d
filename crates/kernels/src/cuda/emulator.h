// Runs CUDA kernels on the CPU, to test them where there is no GPU. The kernels' sources are compiled as C++ after this header.
//
// The threads of a block are fibres of one thread, switched at barriers and exchanges within a warp; blocks run one after another.
// Every launch runs twice, with blocks and threads in opposite orders, and must give the same bytes, which finds missing
// barriers. Buffers end at a page that may not be touched, shared memory holds NaN at the start of a block, and a barrier that
// not all threads reach is an error.

#include <algorithm>
#include <cmath>
#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ucontext.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <type_traits>
#include <utility>
#include <vector>

#define EMULATED
#define __global__
#define __device__
#define __forceinline__ inline
#define __restrict__
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __shared__ static __attribute__((section("emulated_shared")))

struct dim3 {
    unsigned x, y, z;
};

namespace emulator {

[[noreturn]] inline void fail(const char* what) {
    fprintf(stderr, "emulated kernel: %s\n", what);
    exit(3);
}

const int MOST_THREADS = 1024;
const size_t STACK = 256 << 10;

struct Barrier {
    unsigned members = 0, arrived = 0, generation = 0;
};

struct Fibre {
    ucontext_t context;
    jmp_buf place;
    bool started = false, busy = false;
    unsigned thread = 0;
};

// Copies that a thread has started and not waited for, in sets, the last of which is open.
struct Copy {
    void* to;
    const void* from;
    size_t size;
};
inline std::vector<std::vector<Copy>> copies[MOST_THREADS];

// What lanes of a warp hand to each other: two sets of slots, used in turn, so that one barrier per exchange is enough.
struct Warp {
    Barrier barrier;
    uint64_t slots[2][32][8];
};

inline Fibre fibres[MOST_THREADS];
inline Warp warps[MOST_THREADS / 32];
inline unsigned turns[MOST_THREADS];
inline Barrier block_barrier;
inline unsigned current, threads, waits;
inline bool backwards;
inline jmp_buf scheduler;
inline dim3 block_index, block_size, grid_size;
inline void (*body)(void*);
inline void* body_data;

inline unsigned next_of(unsigned thread) {
    return backwards ? (thread + threads - 1) % threads : (thread + 1) % threads;
}

inline void enter() {
    for (;;) {
        body(body_data);
        fibres[current].busy = false;
        if (!_setjmp(fibres[current].place)) _longjmp(scheduler, 1);
    }
}

// Continues another fibre that is not done.
inline void yield() {
    if (++waits > 400 * threads) fail("a barrier is not reached by all threads");
    if (!_setjmp(fibres[current].place)) _longjmp(scheduler, 1);
}

inline void wait(Barrier& barrier) {
    unsigned generation = barrier.generation;
    if (++barrier.arrived == barrier.members) {
        barrier.arrived = 0;
        barrier.generation++;
        waits = 0;
    } else {
        while (barrier.generation == generation) yield();
    }
}

inline void run_block() {
    block_barrier = Barrier{threads};
    for (unsigned w = 0; w * 32 < threads; w++) warps[w].barrier = Barrier{std::min(32u, threads - w * 32)};
    for (unsigned thread = 0; thread < threads; thread++) {
        fibres[thread].busy = true;
        turns[thread] = 0;
        copies[thread].assign(1, {});
    }
    waits = 0;
    static unsigned left, at;
    for (at = backwards ? threads - 1 : 0;; at = next_of(at)) {
        left = 0;
        for (unsigned thread = 0; thread < threads; thread++) left += fibres[thread].busy;
        if (left == 0) return;
        // One round over all fibres, each until it waits.
        static unsigned round;
        for (round = 0; round < threads; round++, at = next_of(at)) {
            if (!fibres[at].busy) continue;
            current = at;
            if (_setjmp(scheduler)) continue;
            Fibre& fibre = fibres[at];
            if (fibre.started) _longjmp(fibre.place, 1);
            fibre.started = true;
            getcontext(&fibre.context);
            void* stack = mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (stack == MAP_FAILED) fail("no memory for a stack");
            fibre.context.uc_stack.ss_sp = stack;
            fibre.context.uc_stack.ss_size = STACK;
            fibre.context.uc_link = nullptr;
            makecontext(&fibre.context, enter, 0);
            setcontext(&fibre.context);
        }
    }
}

// Hands `value` to the other lanes of the warp; returns all lanes' values.
template <class T>
inline uint64_t (*exchange(const T& value))[8] {
    static_assert(sizeof(T) <= 64, "a slot is too small");
    Warp& warp = warps[current / 32];
    unsigned turn = turns[current]++ & 1;
    memcpy(warp.slots[turn][current % 32], &value, sizeof(T));
    wait(warp.barrier);
    return warp.slots[turn];
}

template <class T>
inline T from_lane(const T& value, unsigned lane) {
    auto slots = exchange(value);
    T found;
    memcpy(&found, slots[lane % 32], sizeof(T));
    return found;
}

}  // namespace emulator

#define threadIdx (dim3{emulator::current, 0, 0})
#define blockIdx (emulator::block_index)
#define blockDim (emulator::block_size)
#define gridDim (emulator::grid_size)

inline void __syncthreads() { emulator::wait(emulator::block_barrier); }
inline void __syncwarp() { emulator::wait(emulator::warps[emulator::current / 32].barrier); }

template <class T>
inline T __shfl_sync(unsigned, T value, int lane) {
    return emulator::from_lane(value, lane);
}
template <class T>
inline T __shfl_xor_sync(unsigned, T value, int mask) {
    return emulator::from_lane(value, (emulator::current % 32) ^ mask);
}
template <class T>
inline T __shfl_up_sync(unsigned, T value, unsigned by) {
    unsigned lane = emulator::current % 32;
    return emulator::from_lane(value, lane >= by ? lane - by : lane);
}
inline unsigned __ballot_sync(unsigned, int predicate) {
    auto slots = emulator::exchange(predicate != 0);
    unsigned ballot = 0;
    for (unsigned lane = 0; lane < 32; lane++) ballot |= (unsigned)(slots[lane][0] & 1) << lane;
    return ballot;
}
inline int __ffs(unsigned x) { return __builtin_ffs(x); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(unsigned x) { return x ? __builtin_clz(x) : 32; }

inline float __int_as_float(int x) {
    float y;
    memcpy(&y, &x, 4);
    return y;
}
inline float __uint_as_float(unsigned x) { return __int_as_float((int)x); }
inline unsigned __float_as_uint(float x) {
    unsigned y;
    memcpy(&y, &x, 4);
    return y;
}
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }

inline uint16_t emulated_bf16(float x) {
    unsigned bits = __float_as_uint(x);
    if (x != x) return 0x7fff;
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
inline float emulated_float(unsigned bf16) { return __uint_as_float(bf16 << 16); }

// mma.m16n8k16 (PTX ISA, matrix fragments): with group = lane / 4 and member = lane % 4,
// A: registers hold (row, column) pairs from (group, 2 member), (group + 8, 2 member), (group, 2 member + 8), (group + 8, 2 member + 8);
// B: (row, column) = (2 member + {0, 1}, group) and (2 member + 8 + {0, 1}, group);
// C: (group, 2 member + {0, 1}) and (group + 8, 2 member + {0, 1}).
inline void emulated_mma(float* c, const unsigned* a, const unsigned* b) {
    struct Registers {
        unsigned a[4], b[2];
    } own = {{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
    auto slots = emulator::exchange(own);
    unsigned lane = emulator::current % 32;
    auto half = [](unsigned pair, unsigned which) { return emulated_float(which ? pair >> 16 : pair & 0xffff); };
    auto of_a = [&](unsigned row, unsigned k) {
        const Registers* r = (const Registers*)slots[(row % 8) * 4 + (k % 8) / 2];
        return half(r->a[row / 8 + 2 * (k / 8)], k % 2);
    };
    auto of_b = [&](unsigned k, unsigned column) {
        const Registers* r = (const Registers*)slots[column * 4 + (k % 8) / 2];
        return half(r->b[k / 8], k % 2);
    };
    float sums[4];
    for (unsigned i = 0; i < 4; i++) {
        unsigned row = lane / 4 + 8 * (i / 2), column = 2 * (lane % 4) + i % 2;
        sums[i] = 0;
        for (unsigned k = 0; k < 16; k++) sums[i] += of_a(row, k) * of_b(k, column);
    }
    for (unsigned i = 0; i < 4; i++) c[i] += sums[i];
}

// ldmatrix.x2.trans: lanes 0 to 7 and 8 to 15 name the rows of two 8 x 8 matrices; a lane gets of each the elements
// (2 member + {0, 1}, group).
inline void emulated_ldmatrix_x2_trans(unsigned* out, const void* row) {
    if ((uintptr_t)row % 16) emulator::fail("ldmatrix of a row that is not aligned to 16 bytes");
    auto slots = emulator::exchange(row);
    unsigned lane = emulator::current % 32;
    for (unsigned matrix = 0; matrix < 2; matrix++) {
        const uint16_t* low = (const uint16_t*)slots[matrix * 8 + 2 * (lane % 4)][0];
        const uint16_t* high = (const uint16_t*)slots[matrix * 8 + 2 * (lane % 4) + 1][0];
        out[matrix] = low[lane / 4] | (unsigned)high[lane / 4] << 16;
    }
}

// cp.async: copies 16 bytes, of which those beyond `size` are zeros. It happens as late as it may, so that a missing wait shows.
inline void emulated_cp_async(void* to, const void* from, size_t size) {
    if ((uintptr_t)to % 16 || (size && (uintptr_t)from % 16)) emulator::fail("cp.async of what is not aligned to 16 bytes");
    emulator::copies[emulator::current].back().push_back({to, from, size});
}

inline void emulated_cp_async_commit() { emulator::copies[emulator::current].emplace_back(); }

// Waits until at most `left` closed sets are under way.
inline void emulated_cp_async_wait(size_t left) {
    auto& sets = emulator::copies[emulator::current];
    while (sets.size() > left + 1) {
        for (const emulator::Copy& copy : sets.front()) {
            memset(copy.to, 0, 16);
            memcpy(copy.to, copy.from, copy.size);
        }
        sets.erase(sets.begin());
    }
}

extern "C" char __start_emulated_shared[] __attribute__((weak));
extern "C" char __stop_emulated_shared[] __attribute__((weak));

namespace emulator {

// Memory whose end, rounded up to 16 bytes, is the end of what may be touched.
struct Buffer {
    char *region = nullptr, *data = nullptr;
    size_t size = 0, mapped = 0;

    explicit Buffer(const std::vector<char>& content) : size(content.size()) {
        size_t page = sysconf(_SC_PAGESIZE), rounded = (size + 15) / 16 * 16;
        size_t usable = (rounded + page - 1) / page * page;
        mapped = usable + 2 * page;
        region = (char*)mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (region == (char*)MAP_FAILED) fail("no memory for a buffer");
        mprotect(region, page, PROT_NONE);
        mprotect(region + page + usable, page, PROT_NONE);
        data = region + page + usable - rounded;
        memcpy(data, content.data(), size);
    }
    Buffer(Buffer&& other) noexcept : region(other.region), data(other.data), size(other.size), mapped(other.mapped) {
        other.region = nullptr;
    }
    ~Buffer() {
        if (region) munmap(region, mapped);
    }
};

template <class T>
inline void get(T* data, size_t count = 1) {
    if (count && fread(data, sizeof(T), count, stdin) != count) exit(feof(stdin) ? 0 : 4);
}

struct Argument {
    uint8_t kind;  // 0: buffer, 1: four bytes
    std::vector<char> content;
};

template <class T>
inline T value_of(void* argument) {
    T value;
    memcpy(&value, argument, sizeof(T));
    return value;
}

template <class... A, size_t... I>
inline void call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
    kernel(value_of<A>(arguments[I])...);
}

template <class... A>
struct Call {
    static void run(void* data) {
        auto pair = (std::pair<void (*)(A...), void**>*)data;
        call(pair->first, pair->second, std::index_sequence_for<A...>());
    }
};

template <class... A>
inline std::vector<Buffer> once(void (*kernel)(A...), const std::vector<Argument>& arguments, bool reverse) {
    if (arguments.size() != sizeof...(A)) fail("wrong number of arguments");
    bool pointer[] = {std::is_pointer<A>::value..., false};
    size_t sizes[] = {sizeof(A)..., 0};
    std::vector<Buffer> buffers;
    std::vector<void*> pointers(arguments.size());
    buffers.reserve(arguments.size());
    std::vector<char*> data(arguments.size());
    for (size_t i = 0; i < arguments.size(); i++) {
        if (pointer[i] != (arguments[i].kind == 0)) fail("a buffer in place of a number, or the other way round");
        if (arguments[i].kind == 0) {
            buffers.emplace_back(arguments[i].content);
            data[i] = buffers.back().data;
            pointers[i] = &data[i];
        } else {
            if (sizes[i] != arguments[i].content.size()) fail("an argument of another size");
            pointers[i] = (void*)arguments[i].content.data();
        }
    }
    std::pair<void (*)(A...), void**> data_of_call{kernel, pointers.data()};
    body = Call<A...>::run;
    body_data = &data_of_call;
    backwards = reverse;
    uint64_t blocks = (uint64_t)grid_size.x * grid_size.y * grid_size.z;
    for (uint64_t i = 0; i < blocks; i++) {
        uint64_t block = reverse ? blocks - 1 - i : i;
        block_index = dim3{(unsigned)(block % grid_size.x), (unsigned)(block / grid_size.x % grid_size.y),
                           (unsigned)(block / grid_size.x / grid_size.y)};
        if (__start_emulated_shared) memset(__start_emulated_shared, 0xff, __stop_emulated_shared - __start_emulated_shared);
        run_block();
    }
    return buffers;
}

template <class... A>
inline void launch(void (*kernel)(A...), const std::vector<Argument>& arguments) {
    if (threads == 0 || threads > (unsigned)MOST_THREADS || threads % 32) fail("an odd number of threads");
    if (__start_emulated_shared && __stop_emulated_shared - __start_emulated_shared > 3 * (48 << 10))
        fail("more shared memory than a block has");
    std::vector<Buffer> forwards = once(kernel, arguments, false), reverse = once(kernel, arguments, true);
    for (size_t i = 0; i < forwards.size(); i++) {
        if (memcmp(forwards[i].data, reverse[i].data, forwards[i].size)) fail("the result depends on the order of threads");
        fwrite(forwards[i].data, 1, forwards[i].size, stdout);
    }
    fflush(stdout);
}

// Reads launches from standard input until it ends; answers each with the content of its buffers.
template <class F>
inline int serve(F by_name) {
    for (;;) {
        uint32_t length, count;
        get(&length);
        std::string name(length, ' ');
        get(&name[0], length);
        get(&grid_size.x);
        get(&grid_size.y);
        get(&grid_size.z);
        get(&threads);
        block_size = dim3{threads, 1, 1};
        get(&count);
        std::vector<Argument> arguments(count);
        for (Argument& argument : arguments) {
            uint64_t size;
            get(&argument.kind);
            get(&size);
            argument.content.resize(size);
            get(argument.content.data(), size);
        }
        if (!by_name(name, arguments)) fail("there is no such kernel");
    }
}

}  // namespace emulator
