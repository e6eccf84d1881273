// The shim's half for GPUs: a library of its own, so that nothing else links or loads CUDA.
#define USE_C10D_NCCL
#include "shim.h"

#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include <cstdlib>

extern "C" void c10d_make_nccl(const StorePtr& store, int rank, int size, std::chrono::milliseconds timeout, Backend& out) {
  // Without it a peer that is gone is found out by a watchdog, which ends the process without a word.
  setenv("TORCH_NCCL_BLOCKING_WAIT", "1", 0);
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = timeout;
  out = c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, size, options);
}
