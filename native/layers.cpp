#include "layers.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace bigsharp {
int Layers::rounded(int channels) const {
    return (channels + kernels.lanes - 1) / kernels.lanes * kernels.lanes;
}

const float* Layers::keep(Floats values) {
    kept_.push_back(std::move(values));
    return kept_.back().data();
}

void Layers::require(int input, int channels) {
    if (input < 0 || input >= static_cast<int>(steps.size()) ||
        steps[input].kind == Step::kReconstruct)
        throw std::invalid_argument("the input of a convolution is a step that gives features");
    if (rounded(channels) != this->channels)
        throw std::invalid_argument("the channels of two convolutions in a row differ");
}

int Layers::pack(const float* weight, const float* bias, int channels) {
    const int width = rounded(channels);
    const std::size_t matrix = static_cast<std::size_t>(width) * width;
    Floats taps(9 * matrix), packed(kFrequencies * matrix), biases(width);
    for (int out = 0; out < channels; ++out)
        for (int in = 0; in < channels; ++in)
            for (int k = 0; k < 9; ++k)
                taps[k * matrix + static_cast<std::size_t>(in) * width + out] =
                    weight[(static_cast<std::size_t>(out) * channels + in) * 9 + k];
    kernels.pack(taps.data(), width, packed.data());
    std::copy_n(bias, channels, biases.data());
    weights_.push_back({keep(std::move(packed)), keep(std::move(biases)), width, true});
    return static_cast<int>(weights_.size()) - 1;
}

int Layers::embed(const float* weight, const float* bias, int channels) {
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

int Layers::convolve(int input, int weights) {
    if (weights < 0 || weights >= static_cast<int>(weights_.size()))
        throw std::invalid_argument("there are no such weights");
    require(input, weights_[weights].channels);
    steps.push_back({Step::kConvolve, input, steps[input].delay + 1, nullptr, &weights_[weights]});
    return static_cast<int>(steps.size()) - 1;
}

void Layers::reconstruct(int input, const float* weight, float bias, int channels, float share,
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
