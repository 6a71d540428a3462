// Which instruction set this machine has.
#include <cstring>

#include "kernels.hpp"

namespace bigsharp {
namespace {

bool wanted(const char* name, const Kernels& kernels) {
    return !*name || !std::strcmp(name, kernels.name);
}

}  // namespace

#if defined(__x86_64__)
extern const Kernels kernels_x86_64_v3, kernels_x86_64_v4;

const Kernels* choose_kernels(const char* name) {
    __builtin_cpu_init();
    // Not the levels' LZCNT, MOVBE and F16C, which Clang 14 cannot ask for: whatever has AVX2, FMA
    // and BMI2 has those.
    const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
                    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512dq");
    if (v4 && wanted(name, kernels_x86_64_v4)) return &kernels_x86_64_v4;
    if (v3 && wanted(name, kernels_x86_64_v3)) return &kernels_x86_64_v3;
    return nullptr;
}
#elif defined(__aarch64__)
extern const Kernels kernels_neon;

const Kernels* choose_kernels(const char* name) {
    return wanted(name, kernels_neon) ? &kernels_neon : nullptr;
}
#else
const Kernels* choose_kernels(const char*) { return nullptr; }
#endif

}  // namespace bigsharp
