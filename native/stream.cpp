#include "stream.hpp"

#include <algorithm>
#include <chrono>
#include <deque>
#include <limits>
#include <vector>

#include "barrier.hpp"
#include "threads.hpp"

#ifdef __unix__
#include <unistd.h>
#endif

namespace bigsharp {
namespace {

constexpr long kUnknown = std::numeric_limits<long>::max() / 2;

// Bands of a pass: few tiles would not be worth reading the weights for.
int bands_in_pass(int tiles, int threads) {
    constexpr int kWorthwhile = 96;
    return std::clamp(kWorthwhile * threads / tiles, 1, kMostBands);
}

// Tiles that are multiplied together: as many as fill half of the second cache, or, of a wide
// network, as are worth reading its weights for. They are the same columns of each band of a pass,
// hence a multiple of 12.
int chunk_size(int channels, int tiles) {
    long cache = 0;
#ifdef _SC_LEVEL2_CACHE_SIZE
    cache = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
    cache = std::clamp(cache, 512L << 10, 2048L << 10);
    constexpr long kWhole = 12;
    const long tile = static_cast<long>(kFrequencies) * channels * sizeof(float);
    const long weights = tile * channels;
    const long most = std::max(std::max(cache / 2, weights / 4) / tile / kWhole, 1L) * kWhole;
    return static_cast<int>(std::min(most, (tiles + kWhole - 1) / kWhole * kWhole));
}

// Rows of features in use at once: two of each output stay from pass to pass, and those of a pass
// come in until the last step that reads them is done.
int rows_in_use(const std::deque<Step>& steps, const std::vector<int>& last_reader, int pass) {
    int held = 0, most = 0;
    for (int i = 0; i < static_cast<int>(steps.size()); ++i) {
        if (steps[i].kind != Step::kReconstruct) held += pass + 2;
        most = std::max(most, held);
        for (int j = 0; j < i; ++j)
            if (last_reader[j] == i) held -= pass;
    }
    return most;
}

std::vector<int> last_readers(const std::deque<Step>& steps) {
    std::vector<int> last(steps.size(), -1);
    for (int i = 0; i < static_cast<int>(steps.size()); ++i)
        if (steps[i].input >= 0) last[steps[i].input] = i;
    return last;
}

}  // namespace

std::size_t bytes_per_column(const Layers& layers) {
    const std::size_t features = 2 + rows_in_use(layers.steps, last_readers(layers.steps), kTile);
    const std::size_t pixels = 2 * (layers.delay + 2 * kTile);
    return (features * layers.channels + pixels) * sizeof(float);
}

Stream::Stream(const Layers& layers, long width, int threads)
    : layers_(layers),
      delay_(layers.delay),
      width_(width),
      tiles_(static_cast<int>((width + kTile - 1) / kTile)),
      threads_(std::clamp(threads, 1, tiles_)),
      pass_(bands_in_pass(tiles_, threads_) * kTile),
      chunk_(chunk_size(layers.channels, (tiles_ + threads_ - 1) / threads_ * pass_ / kTile)),
      ring_(delay_ + 2 * pass_),
      image_stride_(width + 2),
      row_(static_cast<std::size_t>(tiles_ * kTile + 2) * layers.channels),
      image_(static_cast<std::size_t>(ring_) * image_stride_),
      output_(static_cast<std::size_t>(ring_) * width),
      blank_(image_stride_),
      height_(kUnknown),
      last_reader_(last_readers(layers.steps)) {
    const int rows = rows_in_use(layers.steps, last_reader_, pass_);
    features_ = Floats(row_ * (2 + rows));
    for (int i = 0; i < threads_; ++i) scratch_.emplace_back(work_size(chunk_, layers.channels));
    zeros_ = features_.data();
    unwanted_ = zeros_ + row_;
    for (int i = rows; i > 0; --i) free_.push_back(unwanted_ + row_ * i);
    Window none;
    none.fill(zeros_);
    windows_.assign(layers.steps.size(), none);
    for (const Step& step : layers.steps) tasks_.push_back({&step, 0, {}});
}

const float* Stream::image_row(long row) const {
    return inside(row) ? image_.data() + (row % ring_) * image_stride_ : blank_.data();
}

float* Stream::output_row(long row) const { return output_.data() + (row % ring_) * width_; }

void Stream::push(const float* rows, long count, std::vector<float>& out, const Stop& stop) {
    rows_ = rows;
    given_ = count;
    run((fed_ + count) / pass_, out, stop);
    feed();  // what does not fill a pass
}

void Stream::finish(std::vector<float>& out, const Stop& stop) {
    height_ = fed_;
    if (height_ > 0) run((height_ + delay_ + pass_ - 1) / pass_, out, stop);
}

// Take the given rows into the image, as far as the present pass reaches.
void Stream::feed() {
    for (; given_ > 0 && fed_ < (passes_ + 1) * pass_; --given_, ++fed_, rows_ += width_)
        std::copy_n(rows_, width_, image_.data() + (fed_ % ring_) * image_stride_ + 1);
}

// All but the last two rows of a window are read for the last time.
void Stream::release(Window& window) {
    for (int i = 0; i < pass_; ++i)
        if (window[i] != zeros_) free_.push_back(window[i]);
    std::copy_n(window.begin() + pass_, 2, window.begin());
}

// Say for every step where it reads and writes in the present pass. The steps run in this order,
// one after the other, so that a row which one has read for the last time is the next one's.
void Stream::plan() {
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
        Task& task = tasks_[i];
        const int input = task.step->input;
        const long top = passes_ * pass_ - task.step->delay;
        // Bands that are wholly above or below the picture are left out.
        const long first = std::clamp(-top / kTile, 0L, static_cast<long>(pass_ / kTile));
        const long last = std::clamp((height_ - top + kTile - 1) / kTile, first,
                                     static_cast<long>(pass_ / kTile));
        task.top = top + first * kTile;
        task.bands.count = static_cast<int>(last - first);
        const int skipped = static_cast<int>(first) * kTile;
        for (int row = 0; row < task.bands.count * kTile + 2; ++row)
            task.bands.in[row] =
                input < 0 ? image_row(task.top - 1 + row) : windows_[input][skipped + row];
        if (task.step->kind != Step::kReconstruct)
            for (int row = 0; row < pass_; ++row) {
                float*& place = windows_[i][2 + row];
                place = zeros_;
                if (inside(top + row)) {
                    place = free_.back();
                    free_.pop_back();
                }
                if (row >= skipped && row < skipped + task.bands.count * kTile)
                    task.bands.out[row - skipped] = place == zeros_ ? unwanted_ : place;
            }
        if (input >= 0 && last_reader_[input] == static_cast<int>(i)) release(windows_[input]);
    }
}

// One thread's columns of one step.
void Stream::work(const Task& task, int thread) {
    if (task.bands.count == 0) return;
    const Kernels& kernels = layers_.kernels;
    const int first = static_cast<int>(static_cast<long>(tiles_) * thread / threads_);
    const int last = static_cast<int>(static_cast<long>(tiles_) * (thread + 1) / threads_);
    const int begin = first * kTile, end = static_cast<int>(std::min<long>(last * kTile, width_));
    switch (task.step->kind) {
        case Step::kEmbed:
            kernels.embed(task.bands, begin, end, *task.step->edge);
            break;
        case Step::kConvolve:
            kernels.convolve(task.bands, nullptr, first, last, *task.step->weights,
                             scratch_[thread].data(), chunk_);
            // The last tile may reach beyond the picture, where the padding's zeros belong.
            if (last == tiles_)
                for (int row = 0; row < task.bands.count * kTile; ++row)
                    std::fill(task.bands.out[row] + (width_ + 1) * layers_.channels,
                              task.bands.out[row] + row_, 0.0f);
            break;
        case Step::kReconstruct:
            for (int row = 0; row < task.bands.count * kTile; ++row)
                if (inside(task.top + row))
                    kernels.reconstruct(task.bands.in + row,
                                        task.step->skip ? image_row(task.top + row) + 1 : nullptr,
                                        task.step->share, output_row(task.top + row), begin, end,
                                        *task.step->edge);
            break;
    }
}

// Hand over the rows that the present pass has finished.
void Stream::emit(std::vector<float>& out) {
    const long top = passes_ * pass_ - delay_;
    for (long row = top; row < top + pass_; ++row)
        if (inside(row)) {
            float* from = output_row(row);
            out.insert(out.end(), from, from + width_);
            std::fill_n(from, width_, 0.0f);
        }
}

void Stream::run(long passes, std::vector<float>& out, const Stop& stop) {
    using Clock = std::chrono::steady_clock;
    constexpr auto kPatience = std::chrono::milliseconds(100);
    if (passes <= passes_) return;
    // Here, and not while the other threads wait, memory may run out.
    out.reserve(out.size() + (passes - passes_) * pass_ * width_);
    Barrier barrier(threads_);
    std::atomic<long> stopped{std::numeric_limits<long>::max()};
    const long begin = passes_;

    // The first thread is the caller's; it alone changes anything but the columns.
    const auto loop = [&](int thread) {
        auto asked = Clock::now();
        long turn = 0;
        for (long pass = begin; pass < passes; ++pass) {
            if (thread == 0) {
                feed();
                plan();
            }
            barrier.wait();
            for (const Task& task : tasks_) {
                work(task, thread);
                if (thread == 0 && Clock::now() - asked > kPatience) {
                    asked = Clock::now();
                    if (stop()) stopped = turn;
                }
                barrier.wait();
                // A turn's number, not a flag: the first thread may be one turn ahead.
                if (stopped <= turn++) return;
            }
            if (thread == 0) {
                emit(out);
                ++passes_;
            }
        }
    };
    on_threads(threads_, loop);
    if (stopped != std::numeric_limits<long>::max()) throw Stopped{};
}

}  // namespace bigsharp
