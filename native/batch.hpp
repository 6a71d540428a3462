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

// What the gradient of y = relu(x ∗ weights + bias) gives: the gradients of x, by the `turned`
// weights without ReLU, of the filters, [tap][input][output], and of the bias.
void differentiate_batch(const Kernels&, const BatchShape&, const float* x, const float* y,
                         const float* gradient, const Weights& turned, float* to_x, float* taps,
                         float* bias, int threads);

}  // namespace bigsharp
