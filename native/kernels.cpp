// The three kinds of convolution, on bands of four rows; compiled once for every instruction set.
#include "kernels.hpp"

#include <chrono>

#include "product.hpp"
#include "vector.hpp"
#include "winograd.hpp"

namespace bigsharp {
namespace {

// Channels that are transformed together, so that the scratch of a tile stays in the first cache.
constexpr int kChunk = 64;

// Bᵀ d B of the tiles [first, last), channels [channel, channel + count). Neighbouring tiles share
// two columns, which are transformed along the column once.
void transform_tiles(const float* const in[kSpan], int first, int last, int channel, int count,
                     int channels, float* out, std::size_t stride) {
    alignas(kAlignment) float columns[kSpan][kSpan][kChunk];
    for (int tile = first; tile < last; ++tile) {
        const int begin = (tile - first) * kTile;  // the columns are a ring: column j at j mod 6
        for (int j = tile == first ? 0 : 2; j < kSpan; ++j) {
            const std::size_t at = static_cast<std::size_t>(tile * kTile + j) * channels + channel;
            float (*column)[kChunk] = columns[(begin + j) % kSpan];
            for (int c = 0; c < count; c += kLanes) {
                Vector d[kSpan], t[kSpan];
#pragma GCC unroll 6
                for (int i = 0; i < kSpan; ++i) d[i] = load(in[i] + at + c);
                transform_input(d, t);
#pragma GCC unroll 6
                for (int i = 0; i < kSpan; ++i) store(column[i] + c, t[i]);
            }
        }
        float* to = out + static_cast<std::size_t>(tile - first) * channels + channel;
        for (int i = 0; i < kSpan; ++i)
            for (int c = 0; c < count; c += kLanes) {
                Vector d[kSpan], t[kSpan];
#pragma GCC unroll 6
                for (int j = 0; j < kSpan; ++j) d[j] = load(columns[(begin + j) % kSpan][i] + c);
                transform_input(d, t);
#pragma GCC unroll 6
                for (int j = 0; j < kSpan; ++j) store(to + (i * kSpan + j) * stride + c, t[j]);
            }
    }
}

// Aᵀ m A, bias and, where they are asked for, ReLU and the mask.
void restore_tiles(const float* in, std::size_t stride, int first, int last, const Weights& weights,
                   const float* const* mask, float* const out[kTile]) {
    const int channels = weights.channels;
    for (int tile = first; tile < last; ++tile) {
        const float* from = in + static_cast<std::size_t>(tile - first) * channels;
        const std::size_t at = static_cast<std::size_t>(tile * kTile + 1) * channels;
        for (int c = 0; c < channels; c += kLanes) {
            Vector t[kSpan][kTile];
#pragma GCC unroll 6
            for (int j = 0; j < kSpan; ++j) {
                Vector m[kSpan];
#pragma GCC unroll 6
                for (int i = 0; i < kSpan; ++i) m[i] = load(from + (i * kSpan + j) * stride + c);
                transform_output(m, t[j]);
            }
            const Vector bias = load(weights.bias + c);
#pragma GCC unroll 4
            for (int i = 0; i < kTile; ++i) {
                Vector m[kSpan], y[kTile];
#pragma GCC unroll 6
                for (int j = 0; j < kSpan; ++j) m[j] = t[j][i];
                transform_output(m, y);
#pragma GCC unroll 4
                for (int j = 0; j < kTile; ++j) {
                    const std::size_t place = at + static_cast<std::size_t>(j) * channels + c;
                    Vector value = y[j] + bias;
                    if (weights.relu) value = relu(value);
                    if (mask) value = load(mask[i] + place) > 0.0f ? value : Vector{};
                    store(out[i] + place, value);
                }
            }
        }
    }
}

// Whether the channels [channel, channel + kLanes) of the tiles [first, last) are all zero.
bool is_silent(const Bands& bands, int first, int last, int channel, int channels) {
    for (int row = 0; row < bands.count * kTile + 2; ++row) {
        const float* from = bands.in[row] + static_cast<std::size_t>(first) * kTile * channels;
        for (int x = 0; x < (last - first) * kTile + 2; ++x, from += channels)
            for (int lane = 0; lane < kLanes; ++lane)
                if (from[channel + lane] != 0) return false;
    }
    return true;
}

// The channels that are not; ReLU silences many where a wide network has more than it needs.
class Runs {
public:
    Runs(const Bands& bands, int first, int last, int channels) {
        for (int c = 0; c < channels; c += kLanes) {
            if (is_silent(bands, first, last, c, channels)) continue;
            const bool goes_on = count_ > 0 && (runs_[count_ - 1].last == c || count_ == kMost);
            if (!goes_on) runs_[count_++].first = c;
            runs_[count_ - 1].last = c + kLanes;
        }
        runs_[count_] = {0, 0};
    }

    const Run* begin() const { return runs_; }
    const Run* end() const { return runs_ + count_; }

private:
    static constexpr int kMost = 16;  // beyond which the last covers all that is left
    Run runs_[kMost + 1] = {};
    int count_ = 0;
};

void convolve(const Bands& bands, const float* const* mask, int first, int last,
              const Weights& weights, float* work, int chunk) {
    const int channels = weights.channels;
    const int chunks = ((last - first) * bands.count + chunk - 1) / chunk;
    const std::size_t stride = static_cast<std::size_t>(chunk + kBlock) * channels;
    const std::size_t matrix = static_cast<std::size_t>(channels) * channels;
    for (int b = 0; b < chunks; ++b) {
        // The same columns of every band, so that the weights are read seldom.
        const int begin = first + (last - first) * b / chunks;
        const int end = first + (last - first) * (b + 1) / chunks;
        const std::size_t tiles = end - begin;
        const Runs runs(bands, begin, end, channels);
        for (int band = 0; band < bands.count; ++band)
            for (const Run& run : runs)
                for (int c = run.first; c < run.last; c += kChunk)
                    transform_tiles(bands.in + band * kTile, begin, end, c,
                                    run.last - c < kChunk ? run.last - c : kChunk, channels,
                                    work + (kBlock + band * tiles) * channels, stride);
        for (int k = 0; k < kFrequencies; ++k)
            multiply_chunk(work + k * stride, static_cast<int>(tiles) * bands.count, runs.begin(),
                           weights.transformed + k * matrix, channels);
        for (int band = 0; band < bands.count; ++band)
            restore_tiles(work + band * tiles * channels, stride, begin, end, weights,
                          mask ? mask + band * kTile : nullptr, bands.out + band * kTile);
    }
}

void embed(const Bands& bands, int first, int last, const EdgeWeights& weights) {
    const int channels = weights.channels;
    for (int row = 0; row < bands.count * kTile; ++row)
        for (int x = first; x < last; ++x) {
            float* out = bands.out[row] + static_cast<std::size_t>(x + 1) * channels;
            for (int c = 0; c < channels; c += kLanes) {
                Vector total = load(weights.bias + c);
                for (int k = 0; k < 9; ++k)
                    total +=
                        bands.in[row + k / 3][x + k % 3] * load(weights.taps + k * channels + c);
                store(out + c, relu(total));
            }
        }
}

void reconstruct(const float* const in[3], const float* image, float share, float* out, int first,
                 int last, const EdgeWeights& weights) {
    const int row = 3 * weights.channels;  // three neighbouring pixels lie side by side
    for (int x = first; x < last; ++x) {
        Vector totals[3] = {};
        for (int i = 0; i < 3; ++i) {
            const float* from = in[i] + static_cast<std::size_t>(x) * weights.channels;
            const float* taps = weights.taps + i * row;
            for (int c = 0; c < row; c += kLanes) totals[i] += load(from + c) * load(taps + c);
        }
        const float result = sum(totals[0] + totals[1] + totals[2]) + *weights.bias;
        out[x] += share * (image ? result + image[x] : result);
    }
}

void pack(const float* taps, int channels, float* transformed) {
    const std::size_t matrix = static_cast<std::size_t>(channels) * channels;
    for (int panel = 0, width; panel < channels; panel += width) {
        width = panel_width(channels - panel);
        for (int in = 0; in < channels; ++in)
            for (int out = 0; out < width; out += kLanes) {
                Vector g[3][3], u[kSpan][kSpan];
                for (int k = 0; k < 9; ++k)
                    g[k / 3][k % 3] = load(taps + k * matrix + in * channels + panel + out);
                transform_filter(g, u);
                for (int k = 0; k < kFrequencies; ++k)
                    store(transformed + k * matrix + panel * channels + in * width + out,
                          u[k / kSpan][k % kSpan]);
            }
    }
}

void unpack_gradient(const float* sums, int channels, float* taps) {
    const std::size_t matrix = static_cast<std::size_t>(channels) * channels;
    for (std::size_t at = 0; at < matrix; at += kLanes) {
        Vector u[kSpan][kSpan], g[3][3];
        for (int k = 0; k < kFrequencies; ++k)
            u[k / kSpan][k % kSpan] = load(sums + k * matrix + at);
        filter_gradient(u, g);
        for (int k = 0; k < 9; ++k) store(taps + k * matrix + at, g[k / 3][k % 3]);
    }
}

// A d Aᵀ of the tiles [first, last) of a gradient.
void transform_gradients(const float* const in[kTile], int first, int last, int channels,
                         float* out, std::size_t stride) {
    for (int tile = first; tile < last; ++tile) {
        const std::size_t at = static_cast<std::size_t>(tile * kTile + 1) * channels;
        float* to = out + static_cast<std::size_t>(tile - first) * channels;
        for (int c = 0; c < channels; c += kLanes) {
            Vector t[kTile][kSpan];
            for (int j = 0; j < kTile; ++j) {
                Vector d[kTile];
                for (int i = 0; i < kTile; ++i)
                    d[i] = load(in[i] + at + static_cast<std::size_t>(j) * channels + c);
                transform_gradient(d, t[j]);
            }
            for (int i = 0; i < kSpan; ++i) {
                Vector d[kTile], m[kSpan];
                for (int j = 0; j < kTile; ++j) d[j] = t[j][i];
                transform_gradient(d, m);
                for (int j = 0; j < kSpan; ++j) store(to + (i * kSpan + j) * stride + c, m[j]);
            }
        }
    }
}

void correlate(const Bands& bands, int first, int last, int channels, float* work, int chunk,
               float* sums) {
    const int chunks = ((last - first) * bands.count + chunk - 1) / chunk;
    // As above, not a multiple of a page: the frequencies of a tile would share a set of the cache.
    const std::size_t stride = static_cast<std::size_t>(chunk + kBlock) * channels;
    const std::size_t matrix = static_cast<std::size_t>(channels) * channels;
    float* gradients = work + kFrequencies * stride;
    for (int b = 0; b < chunks; ++b) {
        const int begin = first + (last - first) * b / chunks;
        const int end = first + (last - first) * (b + 1) / chunks;
        const std::size_t tiles = end - begin;
        for (int band = 0; band < bands.count; ++band) {
            for (int c = 0; c < channels; c += kChunk)
                transform_tiles(bands.in + band * kTile, begin, end, c,
                                channels - c < kChunk ? channels - c : kChunk, channels,
                                work + band * tiles * channels, stride);
            transform_gradients(bands.out + band * kTile, begin, end, channels,
                                gradients + band * tiles * channels, stride);
        }
        const int count = static_cast<int>(tiles) * bands.count;
        for (int k = 0; k < kFrequencies; ++k)
            for (int out = 0, width; out < channels; out += width) {
                width = panel_width(channels - out);
                const float *x = work + k * stride, *y = gradients + k * stride + out;
                float* to = sums + k * matrix + out;
                if (width == 4 * kLanes)
                    accumulate_all<4>(x, y, count, to, channels);
                else if (width == 2 * kLanes)
                    accumulate_all<2>(x, y, count, to, channels);
                else
                    accumulate_all<1>(x, y, count, to, channels);
            }
    }
}

double peak(double seconds) {
    using Clock = std::chrono::steady_clock;
    constexpr int kSums = 12, kRounds = 100000;
    Vector sums[kSums] = {}, factor = Vector{} + 0.999f, term = Vector{} + 0.001f;
    double flops = 0, spent = 0;
    const auto begin = Clock::now();
    while (spent < seconds) {
        for (int round = 0; round < kRounds; ++round)
#pragma GCC unroll 12
            for (int i = 0; i < kSums; ++i) sums[i] = sums[i] * factor + term;
        flops += 2.0 * kLanes * kSums * kRounds;
        spent = std::chrono::duration<double>(Clock::now() - begin).count();
    }
    Vector total = {};
    for (const Vector& value : sums) total += value;
    volatile float kept = sum(total);  // or the loop would be removed
    (void)kept;
    return flops / spent / 1e9;
}

}  // namespace

extern const Kernels BIGSHARP_KERNELS;
const Kernels BIGSHARP_KERNELS = {
    BIGSHARP_NAME, kLanes, pack, convolve, embed, reconstruct, correlate, unpack_gradient, peak};

}  // namespace bigsharp
