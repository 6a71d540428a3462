// Work shared out among threads.
#pragma once

#include <future>
#include <thread>
#include <vector>

namespace bigsharp {

// Calls work(0) on this thread and work(1) … work(threads - 1) on others, and returns when all are
// done. Throws std::system_error, and calls none, where the system has too few threads to give.
template <typename Work>
void on_threads(int threads, const Work& work) {
    std::promise<bool> complete;
    const std::shared_future<bool> start = complete.get_future().share();
    std::vector<std::thread> others;
    others.reserve(threads - 1);
    const auto end = [&](bool all) {
        complete.set_value(all);
        if (all) work(0);
        for (std::thread& other : others) other.join();
    };
    try {
        for (int thread = 1; thread < threads; ++thread)
            others.emplace_back([&work, start, thread] {
                if (start.get()) work(thread);
            });
    } catch (...) {
        end(false);
        throw;
    }
    end(true);
}

}  // namespace bigsharp
