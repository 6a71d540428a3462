#include "network.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

namespace bigsharp {
namespace {

using Row = std::array<double, 3>;

// G: the filter's polynomial at each point, over the product that Lagrange's formula divides by.
std::array<Row, kSpan> filter_transform() {
    constexpr std::array<double, kSpan - 1> points = {0, 0.75, -0.75, 1.5, -1.5};  // as winograd.hpp
    std::array<Row, kSpan> g{};
    for (std::size_t i = 0; i < points.size(); ++i) {
        double product = 1;
        for (std::size_t j = 0; j < points.size(); ++j)
            if (j != i) product *= points[i] - points[j];
        g[i] = {1 / product, points[i] / product, points[i] * points[i] / product};
    }
    g[kSpan - 1] = {0, 0, 1};  // infinity
    return g;
}

// G g Gᵀ of one 3×3 filter, in double precision.
std::array<double, kFrequencies> transform(const float* filter) {
    static const std::array<Row, kSpan> g = filter_transform();
    std::array<double, kFrequencies> result{};
    for (int i = 0; i < kSpan; ++i)
        for (int j = 0; j < kSpan; ++j)
            for (int a = 0; a < 3; ++a)
                for (int b = 0; b < 3; ++b)
                    result[i * kSpan + j] += g[i][a] * g[j][b] * filter[a * 3 + b];
    return result;
}

}  // namespace

int Network::rounded(int channels) const {
    return (channels + kernels.lanes - 1) / kernels.lanes * kernels.lanes;
}

const float* Network::keep(Floats values) {
    kept_.push_back(std::move(values));
    return kept_.back().data();
}

void Network::require(int input, int channels) {
    if (input < 0 || input >= static_cast<int>(steps.size()) ||
        steps[input].kind == Step::kReconstruct)
        throw std::invalid_argument("the input of a convolution is a step that gives features");
    if (rounded(channels) != this->channels)
        throw std::invalid_argument("the channels of two convolutions in a row differ");
}

int Network::pack(const float* weight, const float* bias, int channels) {
    const int width = rounded(channels);
    const std::size_t matrix = static_cast<std::size_t>(width) * width;
    Floats packed(kFrequencies * matrix), biases(width);
    for (int panel = 0, size; panel < width; panel += size) {
        size = kernels.panel(width - panel);
        for (int out = panel; out < panel + size && out < channels; ++out)
            for (int in = 0; in < channels; ++in) {
                const auto values = transform(weight + (static_cast<std::size_t>(out) * channels + in) * 9);
                for (int k = 0; k < kFrequencies; ++k)
                    packed[k * matrix + static_cast<std::size_t>(panel) * width +
                           static_cast<std::size_t>(in) * size + (out - panel)] =
                        static_cast<float>(values[k]);
            }
    }
    std::copy_n(bias, channels, biases.data());
    weights_.push_back({keep(std::move(packed)), keep(std::move(biases)), width});
    return static_cast<int>(weights_.size()) - 1;
}

int Network::embed(const float* weight, const float* bias, int channels) {
    if (!steps.empty()) throw std::invalid_argument("a network embeds the image once, at first");
    const int width = this->channels = rounded(channels);
    Floats taps(9 * static_cast<std::size_t>(width)), biases(width);
    for (int out = 0; out < channels; ++out)
        for (int k = 0; k < 9; ++k) taps[k * width + out] = weight[out * 9 + k];
    std::copy_n(bias, channels, biases.data());
    edges_.push_back({keep(std::move(taps)), keep(std::move(biases)), width});
    steps.push_back({Step::kEmbed, -1, 1, &edges_.back()});
    return 0;
}

int Network::convolve(int input, int weights) {
    if (weights < 0 || weights >= static_cast<int>(weights_.size()))
        throw std::invalid_argument("there are no such weights");
    require(input, weights_[weights].channels);
    steps.push_back({Step::kConvolve, input, steps[input].delay + 1, nullptr, &weights_[weights]});
    return static_cast<int>(steps.size()) - 1;
}

void Network::reconstruct(int input, const float* weight, float bias, int channels, float share,
                          bool skip) {
    require(input, channels);
    const int width = this->channels;
    Floats taps(9 * static_cast<std::size_t>(width)), biases(1);
    for (int in = 0; in < channels; ++in)
        for (int k = 0; k < 9; ++k) taps[k * width + in] = weight[in * 9 + k];
    biases[0] = bias;
    edges_.push_back({keep(std::move(taps)), keep(std::move(biases)), width});
    Step step{Step::kReconstruct, input, steps[input].delay + 1, &edges_.back()};
    step.share = share;
    step.skip = skip;
    delay = std::max(delay, step.delay);
    steps.push_back(step);
}

}  // namespace bigsharp
