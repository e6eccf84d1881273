//! The one room of this crate that speaks to C++.
#![allow(unsafe_code, reason = "the shim is C++")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::time::Duration;

use tch::Tensor;

/// What libtorch says of a failure.
pub type Reason = String;

type Opaque = *mut c_void;

unsafe extern "C" {
    fn c10d_open(host: *const c_char, port: u16, serve: bool, timeout_ms: i64, out: *mut Opaque) -> *mut c_char;
    fn c10d_set(store: Opaque, key: *const c_char, bytes: *const u8, length: usize) -> *mut c_char;
    fn c10d_get(
        store: Opaque,
        key: *const c_char,
        timeout_ms: i64,
        bytes: *mut *mut u8,
        length: *mut usize,
    ) -> *mut c_char;
    fn c10d_check(store: Opaque, key: *const c_char, there: *mut bool) -> *mut c_char;
    fn c10d_close(store: Opaque) -> *mut c_char;
    fn c10d_join(
        store: Opaque,
        local: *const c_char,
        prefix: *const c_char,
        rank: c_int,
        size: c_int,
        timeout_ms: i64,
        nccl: *const c_void,
        out: *mut Opaque,
    ) -> *mut c_char;
    fn c10d_all_reduce(group: Opaque, tensor: *const c_void, max: bool) -> *mut c_char;
    fn c10d_broadcast(group: Opaque, tensor: *const c_void, root: c_int) -> *mut c_char;
    fn c10d_barrier(group: Opaque) -> *mut c_char;
    fn c10d_leave(group: Opaque) -> *mut c_char;
}

/// What the shim returned: nothing, or a string that is ours to free.
fn checked(message: *mut c_char) -> Result<(), Reason> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: the shim returns null or a string of strdup, which nobody else frees.
    let text = unsafe {
        let text = CStr::from_ptr(message).to_string_lossy().into_owned();
        libc::free(message.cast());
        text
    };
    // `[/pytorch/third_party/gloo/…] ` says where in C++ it was thrown.
    let plain = text.strip_prefix('[').and_then(|text| text.split_once("] ")).map_or(text.as_str(), |(_, rest)| rest);
    Err(plain.lines().next().unwrap_or(plain).trim_end_matches(['.', ' ']).to_owned())
}

fn c_string(text: &str) -> Result<CString, Reason> {
    CString::new(text).map_err(|_| format!("{text:?} has a zero byte"))
}

fn milliseconds(timeout: Duration) -> i64 {
    i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX)
}

/// c10d's TCPStore.
#[derive(Debug)]
pub struct RawStore(Opaque);

// SAFETY: TCPStore has a lock of its own around each request, and what is behind the pointer lives until it is dropped.
unsafe impl Send for RawStore {}
// SAFETY: the same.
unsafe impl Sync for RawStore {}

impl RawStore {
    pub fn open(host: &str, port: u16, serve: bool, timeout: Duration) -> Result<Self, Reason> {
        let (host, mut store) = (c_string(host)?, std::ptr::null_mut());
        // SAFETY: the string outlives the call, which writes `store` where it succeeds.
        checked(unsafe { c10d_open(host.as_ptr(), port, serve, milliseconds(timeout), &raw mut store) })?;
        Ok(Self(store))
    }

    pub fn set(&self, key: &str, bytes: &[u8]) -> Result<(), Reason> {
        let key = c_string(key)?;
        // SAFETY: the store is open, and the string and the bytes outlive the call.
        checked(unsafe { c10d_set(self.0, key.as_ptr(), bytes.as_ptr(), bytes.len()) })
    }

    pub fn get(&self, key: &str, timeout: Duration) -> Result<Vec<u8>, Reason> {
        let (key, mut bytes, mut length) = (c_string(key)?, std::ptr::null_mut(), 0);
        // SAFETY: the store is open, the string outlives the call, and where it succeeds the bytes are `length` many from malloc.
        unsafe {
            checked(c10d_get(self.0, key.as_ptr(), milliseconds(timeout), &raw mut bytes, &raw mut length))?;
            let value = std::slice::from_raw_parts(bytes, length).to_vec();
            libc::free(bytes.cast());
            Ok(value)
        }
    }

    /// Whether the key is there; waits for no other process.
    pub fn check(&self, key: &str) -> Result<bool, Reason> {
        let (key, mut there) = (c_string(key)?, false);
        // SAFETY: the store is open, the string outlives the call, which writes `there` where it succeeds.
        checked(unsafe { c10d_check(self.0, key.as_ptr(), &raw mut there) })?;
        Ok(there)
    }
}

impl Drop for RawStore {
    fn drop(&mut self) {
        // SAFETY: it is open, and nobody uses it after this.
        let _ = checked(unsafe { c10d_close(self.0) });
    }
}

/// c10d's process groups: Gloo's, and NCCL's where a GPU is used.
#[derive(Debug)]
pub struct RawGroup(Opaque);

// SAFETY: c10d's backends lock what threads share; what is behind the pointer lives until it is dropped.
unsafe impl Send for RawGroup {}

impl RawGroup {
    pub fn join(
        store: &RawStore,
        local: Option<&str>,
        prefix: &str,
        (rank, size): (usize, usize),
        timeout: Duration,
        nccl: Option<Nccl>,
    ) -> Result<Self, Reason> {
        let local = local.map(c_string).transpose()?;
        let local = local.as_ref().map_or(std::ptr::null(), |local| local.as_ptr());
        let (prefix, nccl) = (c_string(prefix)?, nccl.map_or(std::ptr::null(), |nccl| nccl.0.cast_const()));
        let (rank, size, timeout, mut group) =
            (rank as c_int, size as c_int, milliseconds(timeout), std::ptr::null_mut());
        // SAFETY: the store is open, the strings outlive the call, `nccl` is null or the function of the shim's other half, and the
        // call writes `group` where it succeeds.
        checked(unsafe { c10d_join(store.0, local, prefix.as_ptr(), rank, size, timeout, nccl, &raw mut group) })?;
        Ok(Self(group))
    }

    pub fn all_reduce(&self, tensor: &Tensor, max: bool) -> Result<(), Reason> {
        // SAFETY: the group is joined, and tch's pointer is that of an at::Tensor which outlives the call.
        checked(unsafe { c10d_all_reduce(self.0, tensor.as_ptr().cast(), max) })
    }

    pub fn broadcast(&self, tensor: &Tensor, root: usize) -> Result<(), Reason> {
        // SAFETY: the same.
        checked(unsafe { c10d_broadcast(self.0, tensor.as_ptr().cast(), root as c_int) })
    }

    pub fn barrier(&self) -> Result<(), Reason> {
        // SAFETY: the group is joined.
        checked(unsafe { c10d_barrier(self.0) })
    }
}

impl Drop for RawGroup {
    fn drop(&mut self) {
        // SAFETY: it is joined, and nobody uses it after this.
        let _ = checked(unsafe { c10d_leave(self.0) });
    }
}

/// The function that makes NCCL's backend.
#[derive(Debug, Clone, Copy)]
pub struct Nccl(Opaque);

// SAFETY: it is the address of a function in a library that stays open.
unsafe impl Send for Nccl {}

impl Nccl {
    /// Opens the shim's half for GPUs, and with it libtorch_cuda.
    pub fn open(library: &Path) -> Result<Self, Reason> {
        let path = c_string(&library.to_string_lossy())?;
        // SAFETY: the string outlives the call. The library's constructors are libtorch's and CUDA's own.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
        if handle.is_null() {
            // SAFETY: after a failure, dlerror returns a string that lives until the next call.
            let error = unsafe { CStr::from_ptr(libc::dlerror()) };
            return Err(error.to_string_lossy().into_owned());
        }
        // SAFETY: the handle is open and the name ends in a zero.
        let function = unsafe { libc::dlsym(handle, c"c10d_make_nccl".as_ptr()) };
        if function.is_null() {
            return Err(format!("{} has no c10d_make_nccl", library.display()));
        }
        Ok(Self(function))
    }
}
