// Convolutions of a batch of small images, for training: threads share the images.
#pragma once

#include "kernels.hpp"

namespace bigsharp {

struct BatchShape {
    int images, height, width, channels;  // channels lie side by side, without padding
};

// y = x ∗ weights + bias, with ReLU if the weights say so. Where `mask` is given, x counts only
// where that is positive: the gradient of a ReLU's input.
void convolve_batch(const Kernels&, const BatchShape&, const float* x, const float* mask,
                    const Weights&, float* y, int threads);

// The gradients of the filters, [tap][input][output], and of the bias, from that of y, which counts
// only where `mask` is positive.
void correlate_batch(const Kernels&, const BatchShape&, const float* x, const float* gradient,
                     const float* mask, float* taps, float* bias, int threads);

}  // namespace bigsharp
