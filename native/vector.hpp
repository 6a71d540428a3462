// One SIMD vector of floats, by the compilers' vector extensions, so that the same source serves
// every instruction set. A file that includes this is compiled once for each of them, with
// BIGSHARP_LANES and BIGSHARP_REGISTERS set to its vector length and register count.
#pragma once

#include <cstring>

namespace bigsharp {
namespace {

constexpr int kLanes = BIGSHARP_LANES;

typedef float Vector __attribute__((vector_size(kLanes * sizeof(float))));

inline Vector load(const float* from) {
    Vector value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

inline void store(float* to, Vector value) { std::memcpy(to, &value, sizeof value); }

inline Vector relu(Vector value) { return value > 0.0f ? value : Vector{}; }

inline float sum(Vector value) {
    // Halves are added to each other, as a tree: the order must not depend on the compiler.
    float lanes[kLanes];
    store(lanes, value);
    for (int half = kLanes / 2; half > 0; half /= 2)
        for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
    return lanes[0];
}

}  // namespace
}  // namespace bigsharp
