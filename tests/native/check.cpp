// Runs the engine over many sizes, networks and numbers of threads, against the sums as they are
// written down. Built with the sanitizers by `make sanitize`, and run by CI.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

#include "batch.hpp"
#include "layers.hpp"
#include "stream.hpp"

namespace {

using namespace bigsharp;

struct Layer {
    std::vector<float> weight, bias;
    int inputs, outputs;
};

std::mt19937 random_source(1);

Layer draw(int inputs, int outputs) {
    std::normal_distribution<float> normal(0, std::sqrt(2.0f / (9 * inputs)));
    Layer layer{std::vector<float>(9 * inputs * outputs), std::vector<float>(outputs), inputs,
                outputs};
    for (float& value : layer.weight) value = normal(random_source);
    for (float& value : layer.bias) value = 0.1f * normal(random_source);
    return layer;
}

using Planes = std::vector<std::vector<double>>;

Planes convolve(const Planes& in, const Layer& layer, int height, int width, bool relu) {
    Planes out(layer.outputs, std::vector<double>(height * width));
    for (int o = 0; o < layer.outputs; ++o)
        for (int y = 0; y < height; ++y)
            for (int x = 0; x < width; ++x) {
                double total = layer.bias[o];
                for (int i = 0; i < layer.inputs; ++i)
                    for (int k = 0; k < 9; ++k) {
                        const int v = y + k / 3 - 1, u = x + k % 3 - 1;
                        if (v >= 0 && v < height && u >= 0 && u < width)
                            total +=
                                layer.weight[(o * layer.inputs + i) * 9 + k] * in[i][v * width + u];
                    }
                out[o][y * width + x] = relu && total < 0 ? 0 : total;
            }
    return out;
}

// Two reconstructions of different depth, as in DRCN, and weights that are used twice.
double error(const Kernels& kernels, int channels, int height, int width, int threads, int push) {
    const Layer first = draw(1, channels), last = draw(channels, 1);
    Layer middle = draw(channels, channels);
    // Channels of which nothing comes are left out.
    for (int i = kernels.lanes; i < std::min(channels, 2 * kernels.lanes); ++i)
        middle.bias[i] = -1000;
    Layers layers(kernels);
    int step = layers.embed(first.weight.data(), first.bias.data(), channels);
    const int weights = layers.pack(middle.weight.data(), middle.bias.data(), channels);
    for (int i = 0; i < 2; ++i) {
        step = layers.convolve(step, weights);
        layers.reconstruct(step, last.weight.data(), last.bias[0], channels, 0.5f, true);
    }

    std::vector<float> image(height * width), out;
    std::uniform_real_distribution<float> uniform(0, 1);
    for (float& pixel : image) pixel = uniform(random_source);
    const auto never = [] { return false; };
    Stream stream(layers, width, threads);
    for (int row = 0; row < height; row += push)
        stream.push(image.data() + row * width, std::min(push, height - row), out, never);
    stream.finish(out, never);
    if (out.size() != image.size()) return INFINITY;

    Planes features = convolve({{image.begin(), image.end()}}, first, height, width, true);
    std::vector<double> expected(image.begin(), image.end());
    for (int i = 0; i < 2; ++i) {
        features = convolve(features, middle, height, width, true);
        const Planes residual = convolve(features, last, height, width, false);
        for (std::size_t k = 0; k < expected.size(); ++k) expected[k] += 0.5 * residual[0][k];
    }
    double worst = 0;
    for (std::size_t k = 0; k < out.size(); ++k)
        worst = std::max(worst, std::abs(out[k] - expected[k]));
    return worst;
}

// A batch for training, whose channels fill whole vectors; its gradients are run, and not compared
// (tests/test_convolution.py does).
double batch_error(const Kernels& kernels, int height, int width, int threads) {
    const int channels = 2 * kernels.lanes, images = 3;
    const Layer layer = draw(channels, channels);
    std::vector<float> taps(layer.weight.size());
    for (int out = 0; out < channels; ++out)
        for (int in = 0; in < channels; ++in)
            for (int k = 0; k < 9; ++k)
                taps[(k * channels + in) * channels + out] =
                    layer.weight[(out * channels + in) * 9 + k];

    const BatchShape shape{images, height, width, channels};
    std::vector<float> x(images * height * width * channels), y(x.size());
    std::normal_distribution<float> normal(0, 1);
    for (float& value : x) value = normal(random_source);
    const std::vector<Filters> filters(2, {taps.data(), layer.bias.data()});
    const Chain chain(kernels, shape, x.data(), filters, threads);
    chain.copy_to(y.data());
    std::vector<float> to_x(x.size()), to_taps(2 * taps.size()), to_bias(2 * channels);
    chain.differentiate(x.data(), filters, to_x.data(),
                        {{to_taps.data(), to_bias.data()},
                         {to_taps.data() + taps.size(), to_bias.data() + channels}},
                        threads);

    Planes last(channels, std::vector<double>(height * width));
    const std::size_t start = (images - 1) * last[0].size() * channels;
    for (std::size_t pixel = 0; pixel < last[0].size(); ++pixel)
        for (int c = 0; c < channels; ++c) last[c][pixel] = x[start + pixel * channels + c];
    const Planes between = convolve(last, layer, height, width, true);
    const Planes expected = convolve(between, layer, height, width, true);
    double worst = 0;
    for (std::size_t pixel = 0; pixel < last[0].size(); ++pixel)
        for (int c = 0; c < channels; ++c)
            worst = std::max(worst, std::abs(y[start + pixel * channels + c] - expected[c][pixel]));
    return worst;
}

}  // namespace

int main() {
    int cases = 0;
    double worst = 0;
    for (const char* name : {"x86-64-v3", "x86-64-v4", "neon"}) {
        const Kernels* kernels = choose_kernels(name);
        if (!kernels) continue;
        for (const int channels : {1, 8, 24, 80})
            for (const int height : {1, 3, 4, 17, 40})
                for (const int width : {1, 2, 5, 16, 37})
                    for (const int threads : {1, 2, 5}) {
                        const int push = 1 + (height + width) % 7;
                        worst = std::max(worst,
                                         error(*kernels, channels, height, width, threads, push));
                        ++cases;
                    }
        for (const int height : {1, 4, 18})
            for (const int width : {1, 6, 41})
                for (const int threads : {1, 2, 5}) {
                    worst = std::max(worst, batch_error(*kernels, height, width, threads));
                    ++cases;
                }
    }
    std::printf("%d cases, worst error %.1e\n", cases, worst);
    return cases > 0 && worst < 1e-5 ? 0 : 1;
}
