//! Memory for what dockbell hands over with a call.
//!
//! An event is about twenty-five texts and lists, each of which dockbell asks memory for, and all of which the plugin gives
//! back when the call is over. A general allocator searches and merges for each; here they are put one behind the other,
//! and when the last one is given back all of it is free again. What does not fit, and what the plugin itself allocates,
//! comes from the general allocator. A text that the plugin keeps stays valid: the memory is not used again as long as
//! anything in it is alive.
#![allow(unsafe_code, reason = "an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};

/// Bytes for the arguments of a call. An event has some hundred to some thousand; a batch of a hundred does not fit, and
/// need not: a message is worth more time than an event.
const BYTES: usize = 32 << 10;

#[repr(align(16))]
struct Arena {
    memory: UnsafeCell<[u8; BYTES]>,
    /// Where the next one begins.
    next: Cell<usize>,
    /// How many are alive.
    live: Cell<usize>,
    /// Whether it is lent to what the plugin itself allocates.
    lent: Cell<bool>,
}

impl Arena {
    const fn new() -> Self {
        Self { memory: UnsafeCell::new([0; BYTES]), next: Cell::new(0), live: Cell::new(0), lent: Cell::new(false) }
    }

    /// Memory of this size (not 0) and alignment (a power of two, at most 16), if there is room.
    #[inline]
    fn take(&self, size: usize, align: usize) -> Option<*mut u8> {
        let begin = (self.next.get() + align - 1) & !(align - 1);
        let end = begin.checked_add(size)?;
        if end > BYTES || align > 16 {
            return None;
        }
        self.next.set(end);
        self.live.set(self.live.get() + 1);
        // SAFETY: `begin` is below `end`, which is within the memory.
        Some(unsafe { self.memory.get().cast::<u8>().add(begin) })
    }

    /// Whether the memory is from here.
    #[inline]
    fn owns(&self, memory: *mut u8) -> bool {
        (memory as usize).wrapping_sub(self.memory.get() as usize) < BYTES
    }

    /// One that was taken is no longer used.
    #[inline]
    fn give_back(&self) {
        let live = self.live.get() - 1;
        self.live.set(live);
        if live == 0 {
            self.next.set(0);
        }
    }
}

/// The memory of a plugin: the general allocator, and the arena for arguments.
struct Memory(Arena);

// SAFETY: the static below exists only where there are no threads.
unsafe impl Sync for Memory {}

#[cfg(not(test))]
#[global_allocator]
static MEMORY: Memory = Memory(Arena::new());

/// What is allocated meanwhile is an argument, too: pieces of what dockbell has handed over.
#[cfg(not(test))]
pub(crate) fn lend<T>(make: impl FnOnce() -> T) -> T {
    MEMORY.0.lent.set(true);
    let made = make();
    MEMORY.0.lent.set(false);
    made
}

impl Memory {
    /// What dockbell asks for, in the words of the canonical ABI: memory for an argument or, where there is an `old` one, more
    /// of it.
    ///
    /// # Safety
    /// As for `cabi_realloc`: `align` is a power of two, and `old` is null or was given by this allocator with this
    /// alignment and `old_size`.
    #[inline]
    unsafe fn argument(&self, old: *mut u8, old_size: usize, align: usize, size: usize) -> *mut u8 {
        if old_size == 0 {
            if size == 0 {
                return align as *mut u8;
            }
            if let Some(memory) = self.0.take(size, align) {
                return memory;
            }
        }
        // SAFETY: the alignment is a power of two, and the sizes are those of a 32-bit memory.
        unsafe {
            if old_size == 0 {
                self.alloc(Layout::from_size_align_unchecked(size, align))
            } else {
                self.realloc(old, Layout::from_size_align_unchecked(old_size, align), size)
            }
        }
    }
}

// SAFETY: all but the arena's memory is the general allocator's. The arena gives out each byte once until all are given
// back, within its bounds and aligned as asked.
unsafe impl GlobalAlloc for Memory {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if self.0.lent.get()
            && let Some(memory) = self.0.take(layout.size(), layout.align())
        {
            return memory;
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        if self.0.owns(memory) {
            self.0.give_back();
        } else {
            // SAFETY: what is not the arena's is the general allocator's.
            unsafe { System.dealloc(memory, layout) }
        }
    }

    #[inline]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !self.0.owns(memory) {
            // SAFETY: what is not the arena's is the general allocator's.
            return unsafe { System.realloc(memory, layout, size) };
        }
        // What grows is the plugin's own from now on.
        // SAFETY: `size` is not 0 and fits the alignment, by the caller's promise; both memories hold what is copied.
        unsafe {
            let new = System.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                new.copy_from_nonoverlapping(memory, layout.size().min(size));
                self.0.give_back();
            }
            new
        }
    }
}

/// How dockbell asks for memory (`realloc` of the canonical ABI).
#[cfg(not(test))]
#[unsafe(no_mangle)]
unsafe extern "C" fn cabi_realloc(old: *mut u8, old_size: usize, align: usize, size: usize) -> *mut u8 {
    // SAFETY: wasmtime keeps to the canonical ABI.
    let memory = unsafe { MEMORY.argument(old, old_size, align, size) };
    if memory.is_null() {
        #[cfg(target_arch = "wasm32")]
        core::arch::wasm32::unreachable();
    }
    memory
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: usize) -> Layout {
        Layout::from_size_align(bytes, 1).unwrap()
    }

    fn argument(memory: &Memory, size: usize, align: usize) -> *mut u8 {
        // SAFETY: nothing is given that could be wrong.
        unsafe { memory.argument(std::ptr::null_mut(), 0, align, size) }
    }

    #[test]
    fn arguments_lie_one_behind_the_other_and_all_is_free_when_the_last_is_given_back() {
        let memory = Memory(Arena::new());
        for _ in 0..10_000 {
            let (first, second) = (argument(&memory, 5, 1), argument(&memory, 24, 8));
            assert_eq!(first, memory.0.memory.get().cast());
            assert_eq!((second as usize % 8, second as usize - first as usize), (0, 8));
            // SAFETY: both were just taken.
            unsafe {
                memory.dealloc(second, Layout::from_size_align(24, 8).unwrap());
                memory.dealloc(first, text(5));
            }
        }
    }

    #[test]
    fn what_is_kept_is_never_overwritten() {
        let memory = Memory(Arena::new());
        let kept = argument(&memory, 4, 1);
        // SAFETY: everything is used as long and as far as it was asked for.
        unsafe {
            kept.copy_from_nonoverlapping(b"kept".as_ptr(), 4);
            for _ in 0..10_000 {
                let other = argument(&memory, 100, 1);
                other.write_bytes(0xff, 100);
                memory.dealloc(other, text(100));
            }
            assert_eq!(std::slice::from_raw_parts(kept, 4), b"kept");
            memory.dealloc(kept, text(4));
        }
        assert_eq!(memory.0.next.get(), 0);
    }

    #[test]
    fn what_grows_moves_to_the_general_allocator() {
        let memory = Memory(Arena::new());
        let small = argument(&memory, 4, 1);
        // SAFETY: everything is used as long and as far as it was asked for.
        unsafe {
            small.copy_from_nonoverlapping(b"abcd".as_ptr(), 4);
            let large = memory.argument(small, 4, 1, 100);
            assert!(!memory.0.owns(large));
            assert_eq!(memory.0.live.get(), 0);
            let larger = memory.realloc(large, text(100), 200);
            assert_eq!(std::slice::from_raw_parts(larger, 4), b"abcd");
            memory.dealloc(larger, text(200));
        }
    }

    #[test]
    fn what_does_not_fit_comes_from_the_general_allocator() {
        let memory = Memory(Arena::new());
        for (size, align) in [(BYTES + 1, 1), (usize::MAX / 4, 1), (64, 32)] {
            assert_eq!(memory.0.take(size, align), None);
        }
        let all = argument(&memory, BYTES, 1);
        let more = argument(&memory, 1, 1);
        assert!(memory.0.owns(all) && !memory.0.owns(more));
        // SAFETY: both were just taken.
        unsafe {
            memory.dealloc(more, text(1));
            memory.dealloc(all, text(BYTES));
        }
        assert_eq!(argument(&memory, 0, 8) as usize, 8, "nothing is nowhere");
        assert!(memory.0.owns(argument(&memory, 1, 1)));
    }
}
