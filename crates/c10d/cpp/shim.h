// What the two halves of the shim share.
#pragma once

#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include <chrono>

using Backend = c10::intrusive_ptr<c10d::Backend>;
using StorePtr = c10::intrusive_ptr<c10d::Store>;

// Makes NCCL's backend; it may throw.
using MakeNccl = void (*)(const StorePtr& store, int rank, int size, std::chrono::milliseconds timeout, Backend& out);
