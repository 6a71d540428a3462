// A network as the pipeline runs it: convolutions in order, each with the one that it reads.
#pragma once

#include <deque>
#include <vector>

#include "kernels.hpp"
#include "memory.hpp"

namespace bigsharp {

// One convolution. Its output has one row less of context than its input: it is late by one row.
struct Step {
    enum Kind { kEmbed, kConvolve, kReconstruct } kind;
    int input;  // the step whose output this reads; −1 for the image
    int delay;  // in rows, against the image
    const EdgeWeights* edge = nullptr;
    const Weights* weights = nullptr;
    float share = 1;    // kReconstruct: of the result in the network's output
    bool skip = false;  // kReconstruct: whether the image is added to the result
};

class Layers {
public:
    explicit Layers(const Kernels& kernels) : kernels(kernels) {}
    Layers(const Layers&) = delete;  // streams point into it

    // Weights are in PyTorch's order, [output][input][3][3]. Channels are filled up with zeros to
    // a whole number of vectors. Each returns an index, of weights or of a step.
    int pack(const float* weight, const float* bias, int channels);
    int embed(const float* weight, const float* bias, int channels);
    int convolve(int input, int weights);
    void reconstruct(int input, const float* weight, float bias, int channels, float share,
                     bool skip);

    const Kernels& kernels;
    std::deque<Step> steps;  // whose addresses stay, whatever is added
    int channels = 0;        // between the steps, filled up

    // Of the image, in rows, before the first row of the output is finished; 0 while there is none.
    int delay = 0;

private:
    int rounded(int channels) const;
    const float* keep(Floats values);
    void require(int input, int channels);

    std::vector<Floats> kept_;
    std::deque<Weights> weights_;
    std::deque<EdgeWeights> edges_;
};

}  // namespace bigsharp
