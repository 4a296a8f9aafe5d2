//! Memory of an instance: its linear memories, and what the host holds for it. Both count towards `memory`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasmtime::ResourceLimiter;

use super::error::CallError;

/// Entries of all function tables of an instance. CPython, the largest guest known, has below 20,000.
const TABLE_ELEMENTS: usize = 100_000;

/// The bytes that an instance may have, and how many of them are taken.
#[derive(Debug)]
pub(super) struct Budget {
    limit: usize,
    taken: AtomicUsize,
}

/// Bytes of a budget, which are given back when this is dropped.
#[derive(Debug)]
pub(super) struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, taken: AtomicUsize::new(0) })
    }

    /// The limit in MiB, as messages name it.
    pub(super) const fn mebibytes(&self) -> usize {
        self.limit >> 20
    }

    /// Returns how many bytes are left at the moment.
    pub(super) fn left(&self) -> usize {
        self.limit.saturating_sub(self.taken.load(Ordering::Relaxed))
    }

    /// Takes bytes for something that the host holds. Returns `None` if there are not so many.
    pub(super) fn charge(self: &Arc<Self>, bytes: usize) -> Option<Charge> {
        self.take(bytes).then(|| Charge { budget: Arc::clone(self), bytes })
    }

    fn take(&self, bytes: usize) -> bool {
        let more = |taken: usize| taken.checked_add(bytes).filter(|taken| *taken <= self.limit);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Charge {
    /// Takes more bytes. Returns `false` if there are not so many; then nothing has changed.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        let fits = self.budget.take(bytes);
        self.bytes += if fits { bytes } else { 0 };
        fits
    }

    /// Gives back all but so many bytes.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        let surplus = self.bytes.saturating_sub(bytes);
        self.bytes -= surplus;
        self.budget.give_back(surplus);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

/// Counts all linear memories and tables of an instance together.
#[derive(Debug)]
pub(super) struct MemoryLimit {
    pub(super) budget: Arc<Budget>,
    used: usize,
    elements: usize,
    /// The last growth that was allowed, in bytes and elements; it may still fail.
    last: (usize, usize),
    /// What the guest was refused since the last look.
    pub(super) refused: Option<CallError>,
}

impl MemoryLimit {
    pub(super) fn new(limit: usize) -> Self {
        Self { budget: Budget::new(limit), used: 0, elements: 0, last: (0, 0), refused: None }
    }

    /// Bytes of all linear memories together.
    pub(super) const fn used(&self) -> usize {
        self.used
    }

    fn grow(&mut self, bytes: usize, elements: usize) -> bool {
        self.last = (0, 0);
        if self.elements.saturating_add(elements) > TABLE_ELEMENTS {
            self.refused = Some(CallError::TableFull(TABLE_ELEMENTS));
        } else if !self.budget.take(bytes) {
            self.refused = Some(CallError::OutOfMemory(self.budget.limit));
        } else {
            self.used += bytes;
            self.elements += elements;
            self.last = (bytes, elements);
            return true;
        }
        false
    }

    /// A growth that was allowed did not come about: the guest's own maximum was in the way, or the system had no memory.
    fn take_back(&mut self) {
        let (bytes, elements) = std::mem::take(&mut self.last);
        self.used -= bytes;
        self.elements -= elements;
        self.budget.give_back(bytes);
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(desired.saturating_sub(current), 0))
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.take_back();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(0, desired.saturating_sub(current)))
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.take_back();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guest_and_host_share_one_limit() {
        let mut memory = MemoryLimit::new(100);
        assert!(memory.memory_growing(0, 60, None).unwrap());
        let budget = Arc::clone(&memory.budget);
        assert!(budget.charge(41).is_none());
        let mut charge = budget.charge(30).unwrap();
        assert!(!memory.memory_growing(60, 71, None).unwrap());
        assert_eq!(memory.refused.take(), Some(CallError::OutOfMemory(100)));
        assert!(charge.grow(10) && !charge.grow(1));
        charge.shrink_to(5);
        assert_eq!(budget.left(), 35);
        drop(charge);
        assert_eq!((budget.left(), memory.used()), (40, 60));
    }

    #[test]
    fn a_growth_that_fails_is_taken_back_once() {
        let mut memory = MemoryLimit::new(100);
        assert!(memory.memory_growing(0, 60, None).unwrap());
        assert!(memory.memory_growing(60, 80, None).unwrap());
        memory.memory_grow_failed(wasmtime::format_err!("no memory")).unwrap();
        assert_eq!((memory.budget.left(), memory.used()), (40, 60));
        assert!(!memory.memory_growing(60, 200, None).unwrap());
        memory.memory_grow_failed(wasmtime::format_err!("refused")).unwrap();
        assert_eq!((memory.budget.left(), memory.used()), (40, 60));
    }
}
