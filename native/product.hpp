// The matrix product at one frequency: out[tile][output] = Σ in[tile][input] · w[input][output].
#pragma once

#include "kernels.hpp"
#include "vector.hpp"

namespace bigsharp {
namespace {

// Sums of a block stay in registers: 6 × 4 vectors of 32, or 6 × 2 of 16.
constexpr int kPanelVectors = BIGSHARP_REGISTERS >= 32 ? 4 : 2;

// Input channels [first, last) that a product reads.
struct Run {
    int first, last;
};

inline int panel_width(int left) {
    int vectors = kPanelVectors;
    while (vectors * kLanes > left) vectors /= 2;
    return vectors * kLanes;
}

template <int Tiles, int Vectors>
inline void multiply(const float* in, const Run* runs, const float* panel, float* out,
                     int channels) {
    Vector sums[Tiles][Vectors] = {};
    for (const Run* run = runs; run->last > 0; ++run)
        for (int k = run->first; k < run->last; ++k) {
            Vector w[Vectors];
#pragma GCC unroll 4
            for (int v = 0; v < Vectors; ++v) w[v] = load(panel + (k * Vectors + v) * kLanes);
#pragma GCC unroll 6
            for (int t = 0; t < Tiles; ++t) {
                const float x = in[t * channels + k];
#pragma GCC unroll 4
                for (int v = 0; v < Vectors; ++v) sums[t][v] += x * w[v];
            }
        }
#pragma GCC unroll 6
    for (int t = 0; t < Tiles; ++t)
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) store(out + t * channels + v * kLanes, sums[t][v]);
}

template <int Vectors>
inline void multiply_block(int tiles, const float* in, const Run* runs, const float* panel,
                           float* out, int channels) {
    switch (tiles) {
        case 6:
            return multiply<6, Vectors>(in, runs, panel, out, channels);
        case 5:
            return multiply<5, Vectors>(in, runs, panel, out, channels);
        case 4:
            return multiply<4, Vectors>(in, runs, panel, out, channels);
        case 3:
            return multiply<3, Vectors>(in, runs, panel, out, channels);
        case 2:
            return multiply<2, Vectors>(in, runs, panel, out, channels);
        default:
            return multiply<1, Vectors>(in, runs, panel, out, channels);
    }
}

// sums[input][output] += Σ over tiles in[tile][input] · out[tile][output], for some of both.
template <int Inputs, int Vectors>
inline void accumulate(const float* in, const float* out, int tiles, float* sums, int channels) {
    Vector totals[Inputs][Vectors];
#pragma GCC unroll 6
    for (int i = 0; i < Inputs; ++i)
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) totals[i][v] = load(sums + i * channels + v * kLanes);
    for (int t = 0; t < tiles; ++t) {
        Vector y[Vectors];
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) y[v] = load(out + t * channels + v * kLanes);
#pragma GCC unroll 6
        for (int i = 0; i < Inputs; ++i) {
            const float x = in[t * channels + i];
#pragma GCC unroll 4
            for (int v = 0; v < Vectors; ++v) totals[i][v] += x * y[v];
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < Inputs; ++i)
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) store(sums + i * channels + v * kLanes, totals[i][v]);
}

// For all inputs, four to six at a time: channels are whole vectors, so at least four.
template <int Vectors>
inline void accumulate_all(const float* in, const float* out, int tiles, float* sums,
                           int channels) {
    const int blocks = (channels + 5) / 6;
    for (int block = 0; block < blocks; ++block) {
        const int first = channels * block / blocks;
        float* to = sums + static_cast<std::size_t>(first) * channels;
        switch (channels * (block + 1) / blocks - first) {
            case 6:
                accumulate<6, Vectors>(in + first, out, tiles, to, channels);
                break;
            case 5:
                accumulate<5, Vectors>(in + first, out, tiles, to, channels);
                break;
            default:
                accumulate<4, Vectors>(in + first, out, tiles, to, channels);
        }
    }
}

// All tiles of a chunk, by the channels in `runs`, whose last is empty. The product of a block is
// written one block before its input, over what has been read already, so that half the memory
// serves.
inline void multiply_chunk(float* values, int tiles, const Run* runs, const float* weights,
                           int channels) {
    const int blocks = (tiles + kBlock - 1) / kBlock;
    for (int block = 0; block < blocks; ++block) {
        const int first = tiles * block / blocks;
        const int count = tiles * (block + 1) / blocks - first;
        const float* in = values + static_cast<std::size_t>(first + kBlock) * channels;
        float* out = values + static_cast<std::size_t>(first) * channels;
        for (int output = 0, width; output < channels; output += width) {
            width = panel_width(channels - output);
            const float* panel = weights + static_cast<std::size_t>(output) * channels;
            if (width == 4 * kLanes)
                multiply_block<4>(count, in, runs, panel, out + output, channels);
            else if (width == 2 * kLanes)
                multiply_block<2>(count, in, runs, panel, out + output, channels);
            else
                multiply_block<1>(count, in, runs, panel, out + output, channels);
        }
    }
}

}  // namespace
}  // namespace bigsharp
