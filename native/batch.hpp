// 3×3 convolutions with ReLU of a batch for training, one after another, and their gradients.
//
// A thread takes one image through all of them, and back: what one convolution has written is in
// the cache when the next reads it. Between them images keep their padding, so nothing is copied.
#pragma once

#include <deque>
#include <vector>

#include "kernels.hpp"
#include "memory.hpp"

namespace bigsharp {

struct BatchShape {
    int images, height, width, channels;  // channels lie side by side, without padding
};

// Images with the padding that the kernels want: a pixel of zeros before each row, and zeros behind
// it up to whole tiles.
class Images {
public:
    explicit Images(const BatchShape&);

    // An image takes the pixels of one without padding, those where `mask` is positive if there is
    // one; gives them; or has zeros again where the tiles reached beyond it.
    void fill(int image, const float* pixels) const;
    void fill(int image, const float* pixels, const Images& mask, int masking) const;
    void copy_to(int image, float* pixels) const;
    void clear_padding(int image) const;
    // Add the pixels up, a channel each.
    void add_to(int image, float* sums) const;

    // A row; where there is none, one of zeros.
    float* row(int image, int row) const;
    std::size_t stride() const { return stride_; }

private:
    BatchShape shape_;
    std::size_t pixels_, stride_;  // floats of a row without padding, and with it
    Pooled rows_;
};

// Filters as [tap][input][output], and biases.
struct Filters {
    const float *taps, *bias;
};
struct FilterGradients {
    float *taps, *bias;
};

class Chain {
public:
    // Convolves `x` by all filters; the results stay here.
    Chain(const Kernels&, const BatchShape&, const float* x, const std::vector<Filters>&,
          int threads);
    Chain(const Chain&) = delete;

    // The last result.
    void copy_to(float* y) const;
    // From the gradient of the last result, by the same filters, those of all filters and of `x`.
    void differentiate(const float* gradient, const std::vector<Filters>&, float* to_x,
                       const std::vector<FilterGradients>&, int threads) const;

    // Of convolutions.
    std::size_t count() const { return features_.size() - 1; }

    const BatchShape shape;

private:
    struct Scratch;
    void convolve(const Images& in, int from, const Images& out, int to, const Images* mask,
                  int masking, const Weights&, const Scratch&) const;
    void correlate(const Images& x, int image, const Images& gradient, const Scratch&,
                   float* sums) const;
    void go_back(int image, const float* gradient, const std::vector<Weights>& turned,
                 const Scratch&, float* sums, float* to_x) const;

    const Kernels& kernels_;
    const int tiles_, chunk_;
    std::deque<Images> features_;  // `x`, and every result
};

}  // namespace bigsharp
