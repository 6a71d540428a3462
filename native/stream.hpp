// A picture restored as a stream of rows.
//
// In a pass, one to four bands of four rows go through all convolutions. A convolution needs a row
// below those that it gives, so each works one row higher than the one that it reads: once the
// image has come down to row r, a step of delay d gives the rows up to r − d. Of its input it needs
// two rows of the pass before; nothing else is kept, whatever the picture's height, and nothing is
// computed twice. Threads share a pass by its columns.
#pragma once

#include <array>
#include <functional>
#include <vector>

#include "layers.hpp"
#include "memory.hpp"

namespace bigsharp {

// What a stream keeps for every column of a wide picture.
std::size_t bytes_per_column(const Layers& layers);

class Stream {
public:
    // Asked now and then, in the calling thread, whether to stop.
    using Stop = std::function<bool()>;
    // What is thrown then; the stream is of no more use.
    struct Stopped {};

    Stream(const Layers& layers, long width, int threads);

    // Take `count` rows of `width` pixels, and append those that are finished to `out`.
    void push(const float* rows, long count, std::vector<float>& out, const Stop& stop);
    // There are no more rows: append the rest.
    void finish(std::vector<float>& out, const Stop& stop);

    long width() const { return width_; }

private:
    // The rows that a step's output is read from: the last two of the pass before, and the new
    // ones.
    using Window = std::array<float*, kMostBands * kTile + 2>;
    // A step's part of the present pass: its first row, and where it reads and writes.
    struct Task {
        const Step* step;
        long top;
        Bands bands;
    };

    void run(long passes, std::vector<float>& out, const Stop& stop);
    void feed();
    void plan();
    void release(Window& window);
    void work(const Task& task, int thread);
    void emit(std::vector<float>& out);

    const float* image_row(long row) const;
    float* output_row(long row) const;
    bool inside(long row) const { return row >= 0 && row < height_; }

    const Layers& layers_;
    const long delay_;
    const long width_;
    const int tiles_, threads_;
    const int pass_;           // rows
    const int chunk_;          // tiles
    const long ring_;          // rows of image and output that are kept
    const long image_stride_;  // with padding
    const std::size_t row_;    // floats of a row of features, with padding
    const Floats image_, output_, blank_;
    Floats features_;
    std::vector<Floats> scratch_;  // of each thread

    const float* rows_ = nullptr;  // those given, and not yet fed
    long given_ = 0;
    long fed_ = 0, height_, passes_ = 0;

    float *zeros_, *unwanted_;      // a row that is padding, and one for what is none's
    std::vector<float*> free_;      // rows of features
    std::vector<Window> windows_;   // of each step's output
    std::vector<int> last_reader_;  // of each step's output
    std::vector<Task> tasks_;       // of the present pass, one a step
};

}  // namespace bigsharp
