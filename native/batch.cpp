#include "batch.hpp"

#include <algorithm>
#include <deque>
#include <vector>

#include "memory.hpp"
#include "threads.hpp"

namespace bigsharp {
namespace {

// Loops on their own, with pointers that do not overlap, so that the compiler makes vectors of
// them.
void copy_where(const float* __restrict mask, const float* __restrict from, std::size_t count,
                float* __restrict to) {
    for (std::size_t i = 0; i < count; ++i) {
        const float value = from[i];
        to[i] = mask[i] > 0 ? value : 0;
    }
}

void add(const float* __restrict values, int count, float* __restrict sums) {
    for (int i = 0; i < count; ++i) sums[i] += values[i];
}

// An image with padding: a pixel of zeros before each row, and zeros behind it up to whole tiles.
class Padded {
public:
    explicit Padded(const BatchShape& shape)
        : shape_(shape),
          tiles_((shape.width + kTile - 1) / kTile),
          stride_(static_cast<std::size_t>(tiles_ * kTile + 2) * shape.channels),
          rows_(stride_ * (shape.height + 1)) {
        std::fill_n(rows_.data(), rows_.count(), 0.0f);
    }

    void fill(const float* image, const float* mask) {
        for (int row = 0; row < shape_.height; ++row) {
            const float* from = image + row * pixels();
            float* to = (*this)[row] + shape_.channels;
            if (mask)
                copy_where(mask + row * pixels(), from, pixels(), to);
            else
                std::copy_n(from, pixels(), to);
        }
    }

    // Add the pixels up, a channel each.
    void add_to(float* sums) const {
        const int channels = shape_.channels;
        for (int row = 0; row < shape_.height; ++row) {
            const float* pixel = (*this)[row];
            for (int x = 0; x < shape_.width; ++x) add(pixel += channels, channels, sums);
        }
    }

    // A row; where there is none, one of zeros.
    float* operator[](int row) const {
        const bool inside = row >= 0 && row < shape_.height;
        return rows_.data() + stride_ * (inside ? row : shape_.height);
    }

    int tiles() const { return tiles_; }

private:
    std::size_t pixels() const { return static_cast<std::size_t>(shape_.width) * shape_.channels; }

    const BatchShape shape_;
    const int tiles_;
    const std::size_t stride_;
    const Pooled rows_;
};

// Where the rows of a result are written: an image without padding takes whole tiles as they come,
// others by way of a copy.
class Result {
public:
    explicit Result(const BatchShape& shape)
        : shape_(shape),
          row_(static_cast<std::size_t>(shape.width) * shape.channels),
          tiles_((shape.width + kTile - 1) / kTile),
          stride_(static_cast<std::size_t>(tiles_ * kTile + 2) * shape.channels),
          rows_(stride_ * (is_whole() ? 1 : shape.height + 1)) {}

    // A row of `image` to write to, as `Bands` has it, with a pixel before the first; where there
    // is none, one whose content is nobody's.
    float* place(float* image, int row) const {
        if (row >= shape_.height) return rows_.data();
        return is_whole() ? image + row * row_ - shape_.channels : own(row);
    }

    void copy_to(float* image) const {
        for (int row = 0; row < (is_whole() ? 0 : shape_.height); ++row)
            std::copy_n(own(row) + shape_.channels, row_, image + row * row_);
    }

private:
    bool is_whole() const { return shape_.width % kTile == 0; }
    float* own(int row) const { return rows_.data() + stride_ * (row + 1); }

    const BatchShape shape_;
    const std::size_t row_;
    const int tiles_;
    const std::size_t stride_;
    const Pooled rows_;
};

int chunk_size(const BatchShape& shape) {
    const int tiles = (shape.width + kTile - 1) / kTile * kMostBands;
    return std::min(tiles, 96);
}

// What a thread needs for itself.
struct Scratch {
    explicit Scratch(const BatchShape& shape)
        : input(shape),
          gradient(shape),
          result(shape),
          work(2 * work_size(chunk_size(shape), shape.channels)) {}
    Padded input, gradient;
    const Result result;
    const Pooled work;
};

// Calls `work` with the number, the scratch and the images of each thread.
template <typename Work>
void share(const BatchShape& shape, int threads, const Work& work) {
    std::deque<Scratch> scratch;  // taken here, where an exception has somewhere to go
    for (int thread = 0; thread < threads; ++thread) scratch.emplace_back(shape);
    on_threads(threads, [&](int thread) {
        work(thread, scratch[thread], shape.images * thread / threads,
             shape.images * (thread + 1) / threads);
    });
}

// One to four bands of `input` from row `top` on.
Bands bands_of(const Padded& input, int height, int top) {
    Bands bands;
    bands.count = std::min((height - top + kTile - 1) / kTile, kMostBands);
    for (int row = 0; row < bands.count * kTile + 2; ++row) bands.in[row] = input[top - 1 + row];
    return bands;
}

// An image convolved.
void convolve(const Kernels& kernels, const BatchShape& shape, const Padded& input,
              const Weights& weights, const Scratch& scratch, float* y) {
    for (int top = 0; top < shape.height; top += kMostBands * kTile) {
        Bands bands = bands_of(input, shape.height, top);
        for (int row = 0; row < bands.count * kTile; ++row)
            bands.out[row] = scratch.result.place(y, top + row);
        kernels.convolve(bands, 0, input.tiles(), weights, scratch.work.data(), chunk_size(shape));
    }
    scratch.result.copy_to(y);
}

// What an image and the gradient of its result add to the gradient of the filters.
void correlate(const Kernels& kernels, const BatchShape& shape, const Scratch& scratch,
               float* sums) {
    for (int top = 0; top < shape.height; top += kMostBands * kTile) {
        Bands bands = bands_of(scratch.input, shape.height, top);
        for (int row = 0; row < bands.count * kTile; ++row)
            bands.out[row] = scratch.gradient[top + row];
        kernels.correlate(bands, 0, scratch.input.tiles(), shape.channels, scratch.work.data(),
                          chunk_size(shape), sums);
    }
}

std::size_t size_of(const BatchShape& shape) {
    return static_cast<std::size_t>(shape.height) * shape.width * shape.channels;
}

}  // namespace

void convolve_batch(const Kernels& kernels, const BatchShape& shape, const float* x,
                    const Weights& weights, float* y, int threads) {
    const std::size_t size = size_of(shape);
    threads = std::clamp(threads, 1, shape.images);
    share(shape, threads, [&](int, Scratch& scratch, int first, int last) {
        for (int image = first; image < last; ++image) {
            scratch.input.fill(x + image * size, nullptr);
            convolve(kernels, shape, scratch.input, weights, scratch, y + image * size);
        }
    });
}

void differentiate_batch(const Kernels& kernels, const BatchShape& shape, const float* x,
                         const float* y, const float* gradient, const Weights& turned, float* to_x,
                         float* taps, float* bias, int threads) {
    const std::size_t size = size_of(shape);
    const std::size_t transformed =
        static_cast<std::size_t>(kFrequencies) * shape.channels * shape.channels;
    const std::size_t values = transformed + shape.channels;  // of the filters, and of the bias
    threads = std::clamp(threads, 1, shape.images);
    const Pooled sums(values * threads);
    std::fill_n(sums.data(), sums.count(), 0.0f);
    share(shape, threads, [&](int thread, Scratch& scratch, int first, int last) {
        float* own = sums.data() + values * thread;
        for (int image = first; image < last; ++image) {
            scratch.input.fill(x + image * size, nullptr);
            scratch.gradient.fill(gradient + image * size, y + image * size);
            scratch.gradient.add_to(own + transformed);
            convolve(kernels, shape, scratch.gradient, turned, scratch, to_x + image * size);
            correlate(kernels, shape, scratch, own);
        }
    });
    for (int thread = 1; thread < threads; ++thread)
        for (std::size_t i = 0; i < values; ++i) sums.data()[i] += sums.data()[values * thread + i];
    kernels.unpack_gradient(sums.data(), shape.channels, taps);
    std::copy_n(sums.data() + transformed, shape.channels, bias);
}

}  // namespace bigsharp
