#include "batch.hpp"

#include <algorithm>
#include <deque>
#include <utility>

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

void add(const float* __restrict values, std::size_t count, float* __restrict sums) {
    for (std::size_t i = 0; i < count; ++i) sums[i] += values[i];
}

int tiles_of(int width) { return (width + kTile - 1) / kTile; }

// Floats of an image without padding.
std::size_t size_of(const BatchShape& shape) {
    return static_cast<std::size_t>(shape.height) * shape.width * shape.channels;
}

// Floats of a convolution's filters, transformed.
std::size_t transformed_size(int channels) {
    return static_cast<std::size_t>(kFrequencies) * channels * channels;
}

// Calls `work` with the number of a thread and of an image, for all images.
template <typename Work>
void for_images(int images, int threads, const Work& work) {
    on_threads(threads, [&](int thread) {
        const int last = images * (thread + 1) / threads;
        for (int image = images * thread / threads; image < last; ++image) work(thread, image);
    });
}

// One to four bands of an image from row `top` on, as they are read.
Bands bands_of(const Images& in, int image, int height, int top) {
    Bands bands;
    bands.count = std::min((height - top + kTile - 1) / kTile, kMostBands);
    for (int row = 0; row < bands.count * kTile + 2; ++row)
        bands.in[row] = in.row(image, top - 1 + row);
    return bands;
}

// The filters of the gradient: the other way round, from outputs to inputs.
void turn(const float* taps, int channels, float* turned) {
    const std::size_t matrix = static_cast<std::size_t>(channels) * channels;
    for (int k = 0; k < 9; ++k)
        for (int in = 0; in < channels; ++in)
            for (int out = 0; out < channels; ++out)
                turned[(8 - k) * matrix + out * channels + in] =
                    taps[k * matrix + in * channels + out];
}

// The transformed filters of a chain.
class Packed {
public:
    Packed(const Kernels& kernels, const std::vector<Filters>& filters, int channels, bool turned,
           int threads)
        : matrix_(static_cast<std::size_t>(channels) * channels),
          values_(kFrequencies * matrix_ * filters.size()),
          taps_(9 * matrix_ * (turned ? threads : 0)),
          none_(channels) {
        std::fill_n(none_.data(), channels, 0.0f);
        const int count = static_cast<int>(filters.size());
        on_threads(threads, [&](int thread) {
            float* turning = taps_.data() + 9 * matrix_ * thread;
            for (int i = thread; i < count; i += threads) {
                if (turned) turn(filters[i].taps, channels, turning);
                kernels.pack(turned ? turning : filters[i].taps, channels, at(i));
            }
        });
        for (int i = 0; i < count; ++i)
            weights.push_back({at(i), turned ? none_.data() : filters[i].bias, channels, !turned});
    }

    std::vector<Weights> weights;

private:
    float* at(int i) const { return values_.data() + kFrequencies * matrix_ * i; }

    const std::size_t matrix_;
    const Pooled values_, taps_, none_;
};

}  // namespace

Images::Images(const BatchShape& shape)
    : shape_(shape),
      pixels_(static_cast<std::size_t>(shape.width) * shape.channels),
      stride_(static_cast<std::size_t>(tiles_of(shape.width) * kTile + 2) * shape.channels),
      rows_(stride_ * (static_cast<std::size_t>(shape.images) * shape.height + 1)) {
    for (int image = 0; image < shape.images; ++image) clear_padding(image);
    std::fill_n(row(0, -1), stride_, 0.0f);
}

void Images::fill(int image, const float* pixels) const {
    for (int y = 0; y < shape_.height; ++y)
        std::copy_n(pixels + y * pixels_, pixels_, row(image, y) + shape_.channels);
}

void Images::fill(int image, const float* pixels, const Images& mask, int masking) const {
    for (int y = 0; y < shape_.height; ++y)
        copy_where(mask.row(masking, y) + shape_.channels, pixels + y * pixels_, pixels_,
                   row(image, y) + shape_.channels);
}

void Images::copy_to(int image, float* pixels) const {
    for (int y = 0; y < shape_.height; ++y)
        std::copy_n(row(image, y) + shape_.channels, pixels_, pixels + y * pixels_);
}

void Images::clear_padding(int image) const {
    for (int y = 0; y < shape_.height; ++y) {
        float* begin = row(image, y);
        std::fill_n(begin, shape_.channels, 0.0f);
        std::fill(begin + shape_.channels + pixels_, begin + stride_, 0.0f);
    }
}

void Images::add_to(int image, float* sums) const {
    for (int y = 0; y < shape_.height; ++y) {
        const float* pixel = row(image, y);
        for (int x = 0; x < shape_.width; ++x) add(pixel += shape_.channels, shape_.channels, sums);
    }
}

float* Images::row(int image, int row) const {
    const bool inside = row >= 0 && row < shape_.height;
    const std::size_t last = static_cast<std::size_t>(shape_.images) * shape_.height;
    return rows_.data() + stride_ * (inside ? image * std::size_t(shape_.height) + row : last);
}

// What a thread needs for itself.
struct Chain::Scratch {
    Scratch(const BatchShape& shape, int chunk)
        : gradient({1, shape.height, shape.width, shape.channels}),
          next({1, shape.height, shape.width, shape.channels}),
          unwanted(gradient.stride()),
          work(2 * work_size(chunk, shape.channels)) {}

    const Images gradient, next;
    const Pooled unwanted;  // a row whose content is nobody's
    const Pooled work;
};

Chain::Chain(const Kernels& kernels, const BatchShape& shape, const float* x,
             const std::vector<Filters>& filters, int threads)
    : shape(shape),
      kernels_(kernels),
      tiles_(tiles_of(shape.width)),
      chunk_(std::min(tiles_ * kMostBands, 96)) {
    threads = std::clamp(threads, 1, shape.images);
    const Packed packed(kernels, filters, shape.channels, false, threads);
    for (std::size_t i = 0; i <= filters.size(); ++i) features_.emplace_back(shape);
    std::deque<Scratch> scratch;  // taken here, where an exception has somewhere to go
    for (int thread = 0; thread < threads; ++thread) scratch.emplace_back(shape, chunk_);
    const std::size_t size = size_of(shape);
    for_images(shape.images, threads, [&](int thread, int image) {
        features_[0].fill(image, x + image * size);
        for (std::size_t i = 0; i < filters.size(); ++i)
            convolve(features_[i], image, features_[i + 1], image, nullptr, 0, packed.weights[i],
                     scratch[thread]);
    });
}

void Chain::copy_to(float* y) const {
    const std::size_t size = size_of(shape);
    for (int image = 0; image < shape.images; ++image)
        features_.back().copy_to(image, y + image * size);
}

void Chain::differentiate(const float* gradient, const std::vector<Filters>& filters, float* to_x,
                          const std::vector<FilterGradients>& gradients, int threads) const {
    threads = std::clamp(threads, 1, shape.images);
    const Packed turned(kernels_, filters, shape.channels, true, threads);
    const std::size_t transformed = transformed_size(shape.channels);
    const std::size_t values = transformed + shape.channels;  // of the filters, and of the bias
    const std::size_t all = values * filters.size();
    const Pooled sums(all * threads);
    std::deque<Scratch> scratch;
    for (int thread = 0; thread < threads; ++thread) scratch.emplace_back(shape, chunk_);
    const std::size_t size = size_of(shape);
    on_threads(threads, [&](int thread) { std::fill_n(sums.data() + all * thread, all, 0.0f); });
    for_images(shape.images, threads, [&](int thread, int image) {
        go_back(image, gradient + image * size, turned.weights, scratch[thread],
                sums.data() + all * thread, to_x + image * size);
    });
    on_threads(threads, [&](int thread) {
        for (std::size_t i = thread; i < filters.size(); i += threads) {
            float* total = sums.data() + values * i;
            for (int other = 1; other < threads; ++other)
                add(sums.data() + all * other + values * i, values, total);
            kernels_.unpack_gradient(total, shape.channels, gradients[i].taps);
            std::copy_n(total + transformed, shape.channels, gradients[i].bias);
        }
    });
}

// One image's way back.
void Chain::go_back(int image, const float* gradient, const std::vector<Weights>& turned,
                    const Scratch& scratch, float* sums, float* to_x) const {
    const std::size_t transformed = transformed_size(shape.channels);
    const Images *now = &scratch.gradient, *next = &scratch.next;
    now->fill(0, gradient, features_.back(), image);
    for (int i = static_cast<int>(turned.size()) - 1; i >= 0; --i) {
        float* own = sums + (transformed + shape.channels) * i;
        now->add_to(0, own + transformed);
        correlate(features_[i], image, *now, scratch, own);
        // What comes is the gradient of what another convolution's ReLU gave, but for the first.
        convolve(*now, 0, *next, 0, i > 0 ? &features_[i] : nullptr, image, turned[i], scratch);
        std::swap(now, next);
    }
    now->copy_to(0, to_x);
}

void Chain::convolve(const Images& in, int from, const Images& out, int to, const Images* mask,
                     int masking, const Weights& weights, const Scratch& scratch) const {
    for (int top = 0; top < shape.height; top += kMostBands * kTile) {
        Bands bands = bands_of(in, from, shape.height, top);
        const float* masks[kMostBands * kTile];
        for (int row = 0; row < bands.count * kTile; ++row) {
            bands.out[row] =
                top + row < shape.height ? out.row(to, top + row) : scratch.unwanted.data();
            if (mask) masks[row] = mask->row(masking, top + row);
        }
        kernels_.convolve(bands, mask ? masks : nullptr, 0, tiles_, weights, scratch.work.data(),
                          chunk_);
    }
    if (shape.width % kTile != 0) out.clear_padding(to);
}

// What an image and the gradient of its result add to that of the filters.
void Chain::correlate(const Images& x, int image, const Images& gradient, const Scratch& scratch,
                      float* sums) const {
    for (int top = 0; top < shape.height; top += kMostBands * kTile) {
        Bands bands = bands_of(x, image, shape.height, top);
        for (int row = 0; row < bands.count * kTile; ++row)
            bands.out[row] = gradient.row(0, top + row);
        kernels_.correlate(bands, 0, tiles_, shape.channels, scratch.work.data(), chunk_, sums);
    }
}

}  // namespace bigsharp
