// What the pipeline asks of an instruction set. Everything behind it is compiled once for each.
#pragma once

#include <cstddef>

namespace bigsharp {

constexpr int kTile = 4;                     // outputs of a tile, on a side
constexpr int kSpan = kTile + 2;             // inputs of a tile, on a side
constexpr int kFrequencies = kSpan * kSpan;  // of a transformed tile
constexpr int kBlock = 6;                    // tiles that the micro-kernel multiplies at once
constexpr int kAlignment = 64;               // of every row and weight, in bytes

constexpr int kMostBands = 4;  // of four rows, that a step takes at once

// Bands of four rows of output, and the input that they depend on, two rows more. A row of features
// holds a pixel's channels side by side, and begins and ends with a pixel of zeros: the padding's.
struct Bands {
    int count;
    const float* in[kMostBands * kTile + 2];
    float* out[kMostBands * kTile];
};

// A 3×3 convolution between features, transformed and packed by `pack`.
struct Weights {
    const float* transformed;  // [frequency][panel of outputs][input][output within the panel]
    const float* bias;
    int channels;  // of input and of output
    bool relu;
};

// One from or to a single channel: [9][channels].
struct EdgeWeights {
    const float* taps;
    const float* bias;  // `channels` of them, or one
    int channels;
};

struct Kernels {
    const char* name;
    int lanes;
    // From filters in the order [tap][input][output] to `Weights::transformed`.
    void (*pack)(const float* taps, int channels, float* transformed);
    // Features to features: the tiles [first, last) of each band, `chunk` at a time. Where there
    // are rows of a `mask`, like those of the output, zeros come where it is not positive.
    void (*convolve)(const Bands&, const float* const* mask, int first, int last, const Weights&,
                     float* work, int chunk);
    // Image to features, with ReLU: the columns [first, last); image rows have padding, too.
    void (*embed)(const Bands&, int first, int last, const EdgeWeights&);
    // Features to one row of image: out[x] = share · (result + image[x]); `image` may be null.
    void (*reconstruct)(const float* const in[3], const float* image, float share, float* out,
                        int first, int last, const EdgeWeights&);
    // For training: add to `sums`, [frequency][input][output], what the features `in` and the
    // gradient of the convolution's output, in the place of `out`, give of the weights' gradient.
    void (*correlate)(const Bands&, int first, int last, int channels, float* work, int chunk,
                      float* sums);
    // From such sums to the gradient of the filters, [tap][input][output].
    void (*unpack_gradient)(const float* sums, int channels, float* taps);
    // GFLOP/s of multiply-adds that stay in registers.
    double (*peak)(double seconds);
};

// Floats of scratch that `convolve` needs; `correlate` needs twice as many.
constexpr std::size_t work_size(int chunk, int channels) {
    return static_cast<std::size_t>(kFrequencies) * (chunk + kBlock) * channels;
}

// Those of this name, or, for "", the best; null where this machine cannot run them.
const Kernels* choose_kernels(const char* name = "");

}  // namespace bigsharp
