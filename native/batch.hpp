// Convolutions of a batch of small images, for training: threads share the images.
#pragma once

#include "kernels.hpp"

namespace bigsharp {

struct BatchShape {
    int images, height, width, channels;  // channels lie side by side, without padding
};

// y = x ∗ weights + bias, with ReLU if the weights say so.
void convolve_batch(const Kernels&, const BatchShape&, const float* x, const Weights&, float* y,
                    int threads);

// The gradient of the filters, [tap][input][output], from that of the convolution's output.
void correlate_batch(const Kernels&, const BatchShape&, const float* x, const float* gradient,
                     float* taps, int threads);

}  // namespace bigsharp
