// PyTorch's collectives for Rust: libtorch_cpu has them, and tch does not bind them. Each function returns null, or what went wrong as
// a string that the caller frees.
#define USE_C10D_GLOO
#include "shim.h"

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <cstdlib>
#include <cstring>

using Milliseconds = std::chrono::milliseconds;

struct Group {
  Backend cpu, cuda;

  const Backend& of(const at::Tensor& tensor) const {
    const Backend& backend = tensor.is_cuda() ? cuda : cpu;
    TORCH_CHECK(backend, "this group was not made for tensors on ", tensor.device());
    return backend;
  }
};

template <typename Body>
static char* caught(Body body) {
  try {
    body();
    return nullptr;
  } catch (const c10::Error& error) {
    return strdup(error.what_without_backtrace());
  } catch (const std::exception& error) {
    return strdup(error.what());
  } catch (...) {
    return strdup("something was thrown that is no std::exception");
  }
}

extern "C" {

// `serve`: this process is where the others meet.
char* c10d_open(const char* host, uint16_t port, bool serve, int64_t timeout_ms, StorePtr** out) {
  return caught([&] {
    if (getenv("TORCH_CPP_LOG_LEVEL") == nullptr) {
      FLAGS_caffe2_log_level = 3; // what c10d would print, with C++ frames, comes back as errors
    }
    c10d::TCPStoreOptions options;
    options.port = port;
    options.isServer = serve;
    options.waitWorkers = false;
    options.timeout = Milliseconds(timeout_ms);
    *out = new StorePtr(c10::make_intrusive<c10d::TCPStore>(host, options));
  });
}

char* c10d_set(const StorePtr* store, const char* key, const uint8_t* bytes, size_t length) {
  return caught([&] { (*store)->set(key, std::vector<uint8_t>(bytes, bytes + length)); });
}

// Waits for a value that is not there yet. The caller frees `bytes`.
char* c10d_get(const StorePtr* store, const char* key, int64_t timeout_ms, uint8_t** bytes, size_t* length) {
  return caught([&] {
    (*store)->wait({key}, Milliseconds(timeout_ms));
    std::vector<uint8_t> value = (*store)->get(key);
    *bytes = static_cast<uint8_t*>(malloc(value.size() + 1));
    TORCH_CHECK(*bytes != nullptr, "no memory for ", value.size(), " bytes");
    std::copy(value.begin(), value.end(), *bytes);
    *length = value.size();
  });
}

// Whether the key is there; it does not wait for one.
char* c10d_check(const StorePtr* store, const char* key, bool* there) {
  return caught([&] { *there = (*store)->check({key}); });
}

char* c10d_close(StorePtr* store) {
  return caught([&] { delete store; });
}

// `local`: the address by which the others reach this process; null leaves it to GLOO_SOCKET_IFNAME. `nccl`: null where no tensor
// will lie on a GPU.
char* c10d_join(const StorePtr* store, const char* local, const char* prefix, int rank, int size, int64_t timeout_ms, MakeNccl nccl,
                Group** out) {
  return caught([&] {
    Milliseconds timeout(timeout_ms);
    auto under = [&](const char* backend) -> StorePtr {
      auto part = c10::make_intrusive<c10d::PrefixStore>(std::string(prefix) + "/" + backend, *store);
      part->setTimeout(timeout);
      return part;
    };
    using Gloo = c10d::ProcessGroupGloo;
    auto options = local == nullptr ? Gloo::Options::create_default(timeout) : Gloo::Options::create(timeout);
    if (local != nullptr) {
      options->devices = {Gloo::createDeviceForHostname(local)};
    }
    auto group = std::make_unique<Group>();
    group->cpu = c10::make_intrusive<Gloo>(under("gloo"), rank, size, options);
    if (nccl != nullptr) {
      nccl(under("nccl"), rank, size, timeout, group->cuda);
    }
    *out = group.release();
  });
}

// Into `tensor`: the sum of all ranks' tensors, or with `max` the largest of each element.
char* c10d_all_reduce(const Group* group, const at::Tensor* tensor, bool max) {
  return caught([&] {
    std::vector<at::Tensor> tensors{*tensor};
    c10d::AllreduceOptions options;
    options.reduceOp = max ? c10d::ReduceOp::MAX : c10d::ReduceOp::SUM;
    group->of(*tensor)->allreduce(tensors, options)->wait();
  });
}

// Into `tensor`: that of rank `root`.
char* c10d_broadcast(const Group* group, const at::Tensor* tensor, int root) {
  return caught([&] {
    std::vector<at::Tensor> tensors{*tensor};
    c10d::BroadcastOptions options;
    options.rootRank = root;
    group->of(*tensor)->broadcast(tensors, options)->wait();
  });
}

char* c10d_barrier(const Group* group) {
  return caught([&] { group->cpu->barrier()->wait(); });
}

char* c10d_leave(Group* group) {
  return caught([&] { delete group; });
}
}
