// Aligned floats, all zero at first.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>

#include "kernels.hpp"

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace bigsharp {

struct FreeAligned {
    std::size_t alignment = kAlignment;
    void operator()(float* values) const {
        ::operator delete(values, std::align_val_t{alignment});
    }
};

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

}  // namespace bigsharp
