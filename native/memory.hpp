// Aligned floats.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <mutex>
#include <new>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernels.hpp"

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace bigsharp {

struct FreeAligned {
    std::size_t alignment = kAlignment;
    void operator()(float* values) const { ::operator delete(values, std::align_val_t{alignment}); }
};

// All zero at first.
class Floats {
public:
    Floats() = default;
    explicit Floats(std::size_t count) {
        // Whole huge pages where there are any: a picture's rows and the weights are read in long
        // strides, which small pages make slow.
        const std::size_t bytes = count * sizeof(float);
        const std::size_t page = bytes >= kHugePage ? kHugePage : kAlignment;
        const std::size_t whole = (bytes + page - 1) / page * page;
        values_ = {static_cast<float*>(::operator new(whole, std::align_val_t{page})), {page}};
#ifdef __linux__
        if (page == kHugePage) madvise(values_.get(), whole, MADV_HUGEPAGE);
#endif
        std::fill_n(values_.get(), whole / sizeof(float), 0.0f);
    }

    float* data() const { return values_.get(); }
    float& operator[](std::size_t i) const { return values_[i]; }

private:
    static constexpr std::size_t kHugePage = std::size_t{2} << 20;
    std::unique_ptr<float[], FreeAligned> values_;
};

// Floats that come back when they are let go of, and are given out again as they are. A step of
// training asks for the same hundreds of megabytes as the one before; to have the system hand out
// and clear fresh pages each time took as long as the convolutions.
class Pooled {
public:
    explicit Pooled(std::size_t count) : count_(count), values_(take(count)) {}
    ~Pooled() {
        const std::lock_guard<std::mutex> lock(mutex());
        unused()[count_].push_back(std::move(values_));
    }
    Pooled(const Pooled&) = delete;

    float* data() const { return values_.data(); }
    std::size_t count() const { return count_; }

private:
    static std::mutex& mutex() {
        static auto* instance = new std::mutex;  // for ever: Python may let go of arrays late
        return *instance;
    }
    static std::unordered_map<std::size_t, std::vector<Floats>>& unused() {
        static auto* instance = new std::unordered_map<std::size_t, std::vector<Floats>>;
        return *instance;
    }
    static Floats take(std::size_t count) {
        {
            const std::lock_guard<std::mutex> lock(mutex());
            std::vector<Floats>& fitting = unused()[count];
            if (!fitting.empty()) {
                Floats values = std::move(fitting.back());
                fitting.pop_back();
                return values;
            }
        }
        return Floats(count);
    }

    const std::size_t count_;
    Floats values_;
};

}  // namespace bigsharp
