// The Python module: weights and rows of pixels as NumPy arrays, checked before they are used.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <system_error>
#include <tuple>
#include <vector>

#include "batch.hpp"
#include "layers.hpp"
#include "memory.hpp"
#include "stream.hpp"
#include "threads.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace bigsharp {
namespace {

using Weight = nb::ndarray<const float, nb::ndim<4>, nb::c_contig, nb::device::cpu>;
using Values = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Rows = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Image = nb::ndarray<nb::numpy, float, nb::ndim<2>>;

void check(const Weight& filters, const Values& bias, std::size_t outputs, std::size_t inputs) {
    if (outputs == 0 || inputs == 0 || filters.shape(0) != outputs || filters.shape(1) != inputs ||
        filters.shape(2) != 3 || filters.shape(3) != 3 || bias.shape(0) != outputs)
        throw nb::value_error("the weights are not of this kind of 3×3 convolution");
}

const Kernels& kernels(const char* name) {
    const Kernels* found = choose_kernels(name);
    if (!found) throw std::runtime_error("this machine has no instruction set for the engine");
    return *found;
}

// The caller's thread lets Python see Ctrl-C; the exception stays set until Stopped is caught.
bool interrupted() {
    nb::gil_scoped_acquire gil;
    return PyErr_CheckSignals() != 0;
}

Image take(std::vector<float>&& values, long width) {
    auto* kept = new std::vector<float>(std::move(values));
    nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::vector<float>*>(p); });
    const std::size_t rows = kept->size() / width;
    return Image(kept->data(), {rows, static_cast<std::size_t>(width)}, owner);
}

// A stream that only one thread at a time can use.
class GuardedStream {
public:
    GuardedStream(const Layers& layers, long width, int threads)
        : stream_(checked(layers, width, threads), width, threads) {}

    Image push(const Rows& rows) {
        if (static_cast<long>(rows.shape(1)) != stream_.width())
            throw nb::value_error("a row has not the width of the stream");
        return run([&](std::vector<float>& out) {
            const float* begin = rows.data();
            // A row of NaN would spread over the neighbouring tiles of every layer.
            if (!std::all_of(begin, begin + rows.size(), [](float x) { return std::isfinite(x); }))
                throw std::invalid_argument("a pixel is NaN or infinite");
            stream_.push(begin, static_cast<long>(rows.shape(0)), out, interrupted);
        });
    }

    Image finish() {
        return run([&](std::vector<float>& out) {
            stream_.finish(out, interrupted);
            over_ = true;
        });
    }

private:
    static const Layers& checked(const Layers& layers, long width, int threads) {
        if (layers.delay == 0) throw nb::value_error("the network gives no image yet");
        if (width < 1 || width > kWidest || threads < 1)
            throw nb::value_error("a stream has 1 to 16777216 columns, and threads of at least 1");
        return layers;
    }

    template <typename Work>
    Image run(const Work& work) {
        const std::unique_lock<std::mutex> alone(mutex_, std::try_to_lock);
        if (!alone || over_) throw std::runtime_error("this stream is in use, or at its end");
        std::vector<float> out;
        try {
            nb::gil_scoped_release no_gil;
            work(out);
        } catch (const Stream::Stopped&) {
            over_ = true;
            throw nb::python_error();
        } catch (const std::system_error& error) {
            PyErr_SetString(PyExc_OSError, error.what());
            throw nb::python_error();
        }
        return take(std::move(out), stream_.width());
    }

    static constexpr long kWidest = 1L << 24;

    Stream stream_;
    std::mutex mutex_;
    bool over_ = false;
};

double peak(const char* name, int threads, double seconds) {
    const Kernels& chosen = kernels(name);
    nb::gil_scoped_release no_gil;
    std::vector<double> rates(threads);
    on_threads(threads, [&](int thread) { rates[thread] = chosen.peak(seconds); });
    return std::accumulate(rates.begin(), rates.end(), 0.0);
}

// (N, H, W, C)
using Batch = nb::ndarray<const float, nb::ndim<4>, nb::c_contig, nb::device::cpu>;
// (3, 3, C, C): tap, input, output
using Taps = nb::ndarray<const float, nb::ndim<4>, nb::c_contig, nb::device::cpu>;
using NewBatch = nb::ndarray<nb::numpy, float, nb::ndim<4>>;
using NewValues = nb::ndarray<nb::numpy, float, nb::ndim<1>>;

BatchShape shape_of(const Batch& x, const Kernels& kernels) {
    for (std::size_t i = 0; i < 4; ++i)
        if (x.shape(i) == 0)
            throw nb::value_error("a batch has images, rows, columns and channels");
    const BatchShape shape{static_cast<int>(x.shape(0)), static_cast<int>(x.shape(1)),
                           static_cast<int>(x.shape(2)), static_cast<int>(x.shape(3))};
    if (shape.channels % kernels.lanes != 0)
        throw nb::value_error("the channels of a batch are not a whole number of vectors");
    return shape;
}

template <typename Array>
Array new_array(std::initializer_list<std::size_t> shape) {
    std::size_t count = 1;
    for (const std::size_t side : shape) count *= side;
    auto* kept = new Pooled(count);
    nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<Pooled*>(p); });
    return Array(kept->data(), shape, owner);
}

std::vector<Filters> checked(const std::vector<Taps>& taps, std::size_t channels) {
    std::vector<Filters> filters;
    for (const Taps& each : taps) {
        if (each.shape(0) != 3 || each.shape(1) != 3 || each.shape(2) != channels ||
            each.shape(3) != channels)
            throw nb::value_error("the weights are not of this kind of 3×3 convolution");
        filters.push_back({each.data(), nullptr});
    }
    return filters;
}

void begin_chain(Chain* self, const Batch& x, const std::vector<Taps>& taps,
                 const std::vector<Values>& biases, int threads) {
    const Kernels& chosen = kernels("");
    const BatchShape shape = shape_of(x, chosen);
    std::vector<Filters> filters = checked(taps, x.shape(3));
    if (biases.size() != filters.size()) throw nb::value_error("the weights lack biases");
    for (std::size_t i = 0; i < filters.size(); ++i) {
        if (biases[i].shape(0) != x.shape(3))
            throw nb::value_error("the weights have other biases");
        filters[i].bias = biases[i].data();
    }
    nb::gil_scoped_release no_gil;
    new (self) Chain(chosen, shape, x.data(), filters, threads);
}

NewBatch new_batch(const BatchShape& shape) {
    return new_array<NewBatch>(
        {static_cast<std::size_t>(shape.images), static_cast<std::size_t>(shape.height),
         static_cast<std::size_t>(shape.width), static_cast<std::size_t>(shape.channels)});
}

NewBatch output_of(const Chain& chain) {
    auto y = new_batch(chain.shape);
    nb::gil_scoped_release no_gil;
    chain.copy_to(y.data());
    return y;
}

std::tuple<NewBatch, std::vector<NewBatch>, std::vector<NewValues>> differentiate(
    const Chain& chain, const Batch& gradient, const std::vector<Taps>& taps, int threads) {
    const std::size_t channels = chain.shape.channels;
    auto to_x = new_batch(chain.shape);
    for (std::size_t i = 0; i < 4; ++i)
        if (gradient.shape(i) != to_x.shape(i))
            throw nb::value_error("the gradient is another batch's");
    const std::vector<Filters> filters = checked(taps, channels);
    if (filters.size() != chain.count()) throw nb::value_error("the weights are another chain's");
    std::vector<NewBatch> to_taps;
    std::vector<NewValues> to_biases;
    std::vector<FilterGradients> gradients;
    for (std::size_t i = 0; i < filters.size(); ++i) {
        to_taps.push_back(new_array<NewBatch>({3, 3, channels, channels}));
        to_biases.push_back(new_array<NewValues>({channels}));
        gradients.push_back({to_taps[i].data(), to_biases[i].data()});
    }
    nb::gil_scoped_release no_gil;
    chain.differentiate(gradient.data(), filters, to_x.data(), gradients, threads);
    return {to_x, to_taps, to_biases};
}

}  // namespace
}  // namespace bigsharp

NB_MODULE(_native, module) {
    using namespace bigsharp;

    nb::class_<Layers>(module, "Layers")
        .def(
            "__init__",
            [](Layers* self, const char* instructions) {
                new (self) Layers(kernels(instructions));
            },
            "instructions"_a = "")
        .def_prop_ro("instructions", [](const Layers& n) { return n.kernels.name; })
        .def_prop_ro("bytes_per_column", &bytes_per_column)
        .def(
            "pack",
            [](Layers& n, const Weight& weight, const Values& bias) {
                const std::size_t channels = weight.shape(0);
                check(weight, bias, channels, channels);
                return n.pack(weight.data(), bias.data(), static_cast<int>(channels));
            },
            "weight"_a, "bias"_a)
        .def(
            "embed",
            [](Layers& n, const Weight& weight, const Values& bias) {
                check(weight, bias, weight.shape(0), 1);
                return n.embed(weight.data(), bias.data(), static_cast<int>(weight.shape(0)));
            },
            "weight"_a, "bias"_a)
        .def("convolve", &Layers::convolve, "input"_a, "weights"_a)
        .def(
            "reconstruct",
            [](Layers& n, int input, const Weight& weight, const Values& bias, float share,
               bool skip) {
                check(weight, bias, 1, weight.shape(1));
                n.reconstruct(input, weight.data(), bias.data()[0],
                              static_cast<int>(weight.shape(1)), share, skip);
            },
            "input"_a, "weight"_a, "bias"_a, "share"_a, "skip"_a);

    nb::class_<GuardedStream>(module, "Stream")
        .def(nb::init<const Layers&, long, int>(), "layers"_a, "width"_a, "threads"_a,
             nb::keep_alive<1, 2>())
        .def("push", &GuardedStream::push, "rows"_a)
        .def("finish", &GuardedStream::finish);

    nb::class_<Chain>(module, "Chain")
        .def("__init__", &begin_chain, "x"_a, "taps"_a, "biases"_a, "threads"_a)
        .def_prop_ro("output", &output_of, nb::rv_policy::move)
        .def("differentiate", &differentiate, "gradient"_a, "taps"_a, "threads"_a);

    module.def("instructions", [] {
        const Kernels* found = choose_kernels();
        return found ? found->name : nullptr;
    });
    module.def("lanes", [] { return choose_kernels() ? choose_kernels()->lanes : 0; });
    module.def("peak", &peak, "instructions"_a, "threads"_a, "seconds"_a);
}
