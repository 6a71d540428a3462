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
          rows_(stride_ * (shape.height + 2)) {
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

    void copy_to(float* image) const {
        for (int row = 0; row < shape_.height; ++row)
            std::copy_n((*this)[row] + shape_.channels, pixels(), image + row * pixels());
    }

    // A row; where there is none, one of zeros.
    float* operator[](int row) const {
        const bool inside = row >= 0 && row < shape_.height;
        return rows_.data() + stride_ * (inside ? row : shape_.height);
    }
    // A row to write to; where there is none, one whose content is nobody's.
    float* place(int row) const {
        return rows_.data() + stride_ * std::min(row, shape_.height + 1);
    }

    int tiles() const { return tiles_; }

private:
    std::size_t pixels() const { return static_cast<std::size_t>(shape_.width) * shape_.channels; }

    const BatchShape shape_;
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
    Scratch(const BatchShape& shape, std::size_t size) : input(shape), output(shape), work(size) {}
    Padded input, output;
    const Pooled work;
};

// Calls `work` with the number, the scratch and the images of each thread.
template <typename Work>
void share(const BatchShape& shape, std::size_t scratch_size, int threads, const Work& work) {
    threads = std::clamp(threads, 1, shape.images);
    std::deque<Scratch> scratch;  // taken here, where an exception has somewhere to go
    for (int thread = 0; thread < threads; ++thread) scratch.emplace_back(shape, scratch_size);
    on_threads(threads, [&](int thread) {
        work(thread, scratch[thread], shape.images * thread / threads,
             shape.images * (thread + 1) / threads);
    });
}

// Calls `work` with the input rows of one to four bands at a time, and the first of their rows.
template <typename Work>
void for_bands(const Padded& input, int height, const Work& work) {
    for (int top = 0; top < height; top += kMostBands * kTile) {
        Bands bands;
        bands.count = std::min((height - top + kTile - 1) / kTile, kMostBands);
        for (int row = 0; row < bands.count * kTile + 2; ++row)
            bands.in[row] = input[top - 1 + row];
        work(bands, top);
    }
}

}  // namespace

void convolve_batch(const Kernels& kernels, const BatchShape& shape, const float* x,
                    const float* mask, const Weights& weights, float* y, int threads) {
    const std::size_t size = static_cast<std::size_t>(shape.height) * shape.width * shape.channels;
    const int chunk = chunk_size(shape);
    const auto work = [&](int, Scratch& scratch, int first, int last) {
        Padded &input = scratch.input, &output = scratch.output;
        for (int image = first; image < last; ++image) {
            input.fill(x + image * size, mask ? mask + image * size : nullptr);
            for_bands(input, shape.height, [&](Bands& bands, int top) {
                for (int row = 0; row < bands.count * kTile; ++row)
                    bands.out[row] = output.place(top + row);
                kernels.convolve(bands, 0, input.tiles(), weights, scratch.work.data(), chunk);
            });
            output.copy_to(y + image * size);
        }
    };
    share(shape, work_size(chunk, shape.channels), threads, work);
}

void correlate_batch(const Kernels& kernels, const BatchShape& shape, const float* x,
                     const float* gradient, const float* mask, float* taps, float* bias,
                     int threads) {
    const std::size_t size = static_cast<std::size_t>(shape.height) * shape.width * shape.channels;
    const std::size_t transformed =
        static_cast<std::size_t>(kFrequencies) * shape.channels * shape.channels;
    const std::size_t values = transformed + shape.channels;  // of the filters, and of the bias
    const int chunk = chunk_size(shape), shares = std::clamp(threads, 1, shape.images);
    const Pooled sums(values * shares);
    std::fill_n(sums.data(), values * shares, 0.0f);
    const auto work = [&](int thread, Scratch& scratch, int first, int last) {
        Padded &input = scratch.input, &output = scratch.output;
        float* own = sums.data() + values * thread;
        for (int image = first; image < last; ++image) {
            input.fill(x + image * size, nullptr);
            output.fill(gradient + image * size, mask + image * size);
            output.add_to(own + transformed);
            for_bands(input, shape.height, [&](Bands& bands, int top) {
                for (int row = 0; row < bands.count * kTile; ++row)
                    bands.out[row] = output[top + row];
                kernels.correlate(bands, 0, input.tiles(), shape.channels, scratch.work.data(),
                                  chunk, own);
            });
        }
    };
    share(shape, 2 * work_size(chunk, shape.channels), threads, work);
    for (int thread = 1; thread < shares; ++thread)
        for (std::size_t i = 0; i < values; ++i) sums.data()[i] += sums.data()[values * thread + i];
    kernels.unpack_gradient(sums.data(), shape.channels, taps);
    std::copy_n(sums.data() + transformed, shape.channels, bias);
}

}  // namespace bigsharp
