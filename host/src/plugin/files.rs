//! Files of plugins: what is opened at all, how many are open at once, and what a listing may hold.
//!
//! wasmtime holds each open file in an [`Arc`], of which the descriptor, each stream and each operation that runs in a thread
//! of its own have a clone. So the number of clones bounds all three: file descriptors, buffers and blocked threads. It also
//! counts operations that never end (a device, a network file system that hangs), after their instance is gone.

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustix::fs::{Dir, Mode, OFlags, openat};
use rustix::process::{Resource as Limit, getrlimit};
use wasmtime::component::{Linker, Resource, ResourceTable, ResourceType};
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtxView, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::filesystem::preopens::Host as _;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorType, ErrorCode, Host as _, HostDescriptor as _, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{FsResult, ReaddirIterator};

use super::error::CallError;
use super::memory::Charge;
use super::sandbox::Sandbox;
use super::v0_1::logging::Level;

/// The interface of wasmtime of which this replaces functions.
const TYPES: &str = "wasi:filesystem/types@0.2.12";

/// Open files, and streams of them, of one instance.
const PER_INSTANCE: usize = 64;
/// The same of all plugins together, where the limit of the process (`RLIMIT_NOFILE`) is 1,024 or more; else a quarter of that.
const ALL_PLUGINS: usize = 256;
/// Operations of one plugin that may be left over from earlier instances, each in a blocked thread.
const LEFT_OVER: usize = 8;
/// What an entry of a folder counts in a listing beside its name: about what it takes in memory.
const ENTRY_BYTES: usize = 128;

/// The open files of all plugins.
#[derive(Debug)]
pub(super) struct OpenFiles {
    most: usize,
    handles: Mutex<Handles>,
}

/// The files that operations of one plugin's earlier instances still use.
#[derive(Debug, Default)]
pub(super) struct LeftOver(Mutex<Handles>);

/// The files of one instance.
pub(super) struct Files {
    all: Arc<OpenFiles>,
    left_over: Arc<LeftOver>,
    opened: Handles,
    /// The folders that are granted: they are open as long as the instance lives.
    folders: Handles,
    /// What listings of folders take, by their number in the resource table.
    listings: HashMap<u32, Charge>,
}

#[derive(Debug, Default)]
struct Handles(Vec<Weak<File>>);

impl Handles {
    fn count(&mut self) -> usize {
        self.0.retain(|file| file.strong_count() > 0);
        self.0.iter().map(Weak::strong_count).sum()
    }
}

impl OpenFiles {
    /// Returns the limit for this process as it is at present.
    pub(super) fn of_process() -> Self {
        let quarter = getrlimit(Limit::Nofile).current.and_then(|files| usize::try_from(files / 4).ok());
        Self { most: quarter.map_or(ALL_PLUGINS, |quarter| quarter.min(ALL_PLUGINS)), handles: Mutex::default() }
    }
}

impl Files {
    /// Returns the files of a new instance with its context.
    ///
    /// # Errors
    /// Fails if too many operations of earlier instances did not end.
    pub(super) fn new(all: Arc<OpenFiles>, left_over: Arc<LeftOver>, wasi: &mut WasiCtx) -> Result<Self, CallError> {
        if left_over.0.lock().unwrap_or_else(PoisonError::into_inner).count() >= LEFT_OVER {
            return Err(CallError::FilesHang(LEFT_OVER));
        }
        let mut table = ResourceTable::new();
        let granted = WasiFilesystemCtxView { ctx: wasi.filesystem(), table: &mut table }.get_directories();
        let folders = granted.unwrap_or_default().into_iter().filter_map(|(folder, _)| handle(&table, &folder));
        let folders = Handles(folders.map(|folder| Arc::downgrade(&folder)).collect());
        Ok(Self { all, left_over, opened: Handles::default(), folders, listings: HashMap::new() })
    }

    /// Returns why no other file or stream may be opened, if so.
    fn full(&mut self) -> Option<String> {
        if self.opened.count() >= PER_INSTANCE {
            return Some(format!("it may not have more than {PER_INSTANCE} files and streams of files open at once"));
        }
        let most = self.all.most;
        let count = self.all.handles.lock().unwrap_or_else(PoisonError::into_inner).count();
        (count >= most).then(|| {
            format!("all plugins together may not have more than {most} files and streams of files open at once")
        })
    }

    fn add(&mut self, file: &Arc<File>) {
        self.opened.0.push(Arc::downgrade(file));
        self.all.handles.lock().unwrap_or_else(PoisonError::into_inner).0.push(Arc::downgrade(file));
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let mut left_over = self.left_over.0.lock().unwrap_or_else(PoisonError::into_inner);
        left_over.0.append(&mut self.opened.0);
        left_over.0.append(&mut self.folders.0);
    }
}

/// Puts these functions in place of those of wasmtime.
pub(super) fn add_to_linker(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance(TYPES)?;
    types.func_wrap_async(
        "[method]descriptor.open-at",
        |mut store, (folder, follow, path, how, flags): (Resource<Descriptor>, PathFlags, String, OpenFlags, DescriptorFlags)| {
            Box::new(async move {
                let sandbox = store.data_mut();
                let opened = open(sandbox, folder, follow, path, how, flags).await;
                sandbox.answer(opened)
            })
        },
    )?;
    types.func_wrap_async("[method]descriptor.read-directory", |mut store, (folder,): (Resource<Descriptor>,)| {
        Box::new(async move {
            let sandbox = store.data_mut();
            let listing = list(sandbox, folder).await;
            sandbox.answer(listing)
        })
    })?;
    types.resource("directory-entry-stream", ResourceType::host::<ReaddirIterator>(), |mut store, listing| {
        let sandbox = store.data_mut();
        sandbox.files.listings.remove(&listing);
        sandbox.resources.delete(Resource::<ReaddirIterator>::new_own(listing))?;
        Ok(())
    })?;
    types.func_wrap("[method]descriptor.read-via-stream", |mut store, (file, at): (Resource<Descriptor>, u64)| {
        let sandbox = store.data_mut();
        let stream = sandbox.one_more().and_then(|()| sandbox.filesystem().read_via_stream(file, at));
        sandbox.answer(stream)
    })?;
    types.func_wrap("[method]descriptor.write-via-stream", |mut store, (file, at): (Resource<Descriptor>, u64)| {
        let sandbox = store.data_mut();
        let stream = sandbox.one_more().and_then(|()| sandbox.filesystem().write_via_stream(file, at));
        sandbox.answer(stream)
    })?;
    types.func_wrap("[method]descriptor.append-via-stream", |mut store, (file,): (Resource<Descriptor>,)| {
        let sandbox = store.data_mut();
        let stream = sandbox.one_more().and_then(|()| sandbox.filesystem().append_via_stream(file));
        sandbox.answer(stream)
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

impl Sandbox {
    /// Whether another file or stream may be opened.
    fn one_more(&mut self) -> FsResult<()> {
        match self.files.full() {
            None => Ok(()),
            Some(why) => {
                self.voice.say(Level::Warn, &why);
                Err(ErrorCode::Quota.into())
            }
        }
    }

    /// An answer in the form of the interface: what is not for the guest to know is a trap.
    fn answer<T>(&mut self, answer: FsResult<T>) -> wasmtime::Result<(Result<T, ErrorCode>,)> {
        Ok((match answer {
            Ok(value) => Ok(value),
            Err(error) => Err(self.filesystem().convert_error_code(error)?),
        },))
    }
}

/// Opens a file or folder, and nothing else: to open a pipe may block its thread for ever, and devices do as they like.
async fn open(
    sandbox: &mut Sandbox,
    folder: Resource<Descriptor>,
    follow: PathFlags,
    path: String,
    how: OpenFlags,
    flags: DescriptorFlags,
) -> FsResult<Resource<Descriptor>> {
    sandbox.one_more()?;
    let here = Resource::new_borrow(folder.rep());
    // What is not there may be made, and other errors come again below.
    if let Ok(found) = sandbox.filesystem().stat_at(here, follow, path.clone()).await
        && !matches!(
            found.type_,
            DescriptorType::RegularFile | DescriptorType::Directory | DescriptorType::SymbolicLink
        )
    {
        let why = format!(
            "it may not open `{path}`: that is a pipe, a socket or a device, and `dirs` grants files and folders"
        );
        sandbox.voice.say(Level::Warn, &why);
        return Err(ErrorCode::NotPermitted.into());
    }
    let opened = sandbox.filesystem().open_at(folder, follow, path, how, flags).await?;
    if let Some(file) = handle(&sandbox.resources, &opened) {
        sandbox.files.add(&file);
    }
    Ok(opened)
}

/// Lists a folder. wasmtime reads all entries at once, so their size is found out before and counts towards `memory`.
async fn list(sandbox: &mut Sandbox, folder: Resource<Descriptor>) -> FsResult<Resource<ReaddirIterator>> {
    let budget = &sandbox.memory.budget;
    let (read, most) = (handle(&sandbox.resources, &folder), budget.left());
    let bytes = match read {
        Some(read) => wasmtime_wasi::runtime::spawn_blocking(move || listing_bytes(&read, most)).await?,
        None => 0,
    };
    let Some(charge) = budget.charge(bytes) else {
        let why = format!(
            "it may not list a folder with so many entries: that takes more than its {} MiB of memory",
            budget.mebibytes()
        );
        sandbox.voice.say(Level::Warn, &why);
        return Err(ErrorCode::InsufficientMemory.into());
    };
    let listing = sandbox.filesystem().read_directory(folder).await?;
    sandbox.files.listings.insert(listing.rep(), charge);
    Ok(listing)
}

/// Returns what the entries of a folder take, or a bit more than `most` where it is more.
fn listing_bytes(folder: &File, most: usize) -> std::io::Result<usize> {
    let mut bytes = 0_usize;
    if !folder.metadata()?.is_dir() {
        return Ok(bytes);
    }
    // The folder itself may be open for its path alone.
    let folder = openat(folder, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    for entry in Dir::new(folder)? {
        bytes += ENTRY_BYTES + entry?.file_name().to_bytes().len();
        if bytes > most {
            break;
        }
    }
    Ok(bytes)
}

/// Returns the open file behind a descriptor.
fn handle(table: &ResourceTable, descriptor: &Resource<Descriptor>) -> Option<Arc<File>> {
    match table.get(descriptor).ok()? {
        Descriptor::File(file) => Some(Arc::clone(&file.file)),
        Descriptor::Dir(folder) => Some(Arc::clone(&folder.dir)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(left_over: &Arc<LeftOver>) -> Result<Files, CallError> {
        Files::new(Arc::new(OpenFiles::of_process()), Arc::clone(left_over), &mut WasiCtx::builder().build())
    }

    #[test]
    fn operations_that_hang_stop_the_next_start_until_they_end() {
        let left_over = Arc::new(LeftOver::default());
        let file = Arc::new(File::open("/dev/null").unwrap());
        let mut instance = files(&left_over).unwrap();
        instance.add(&file);
        // Each operation in a thread has a clone.
        let mut hanging: Vec<_> = (1..LEFT_OVER).map(|_| Arc::clone(&file)).collect();
        assert!(files(&left_over).is_ok(), "the instance lives, so they are none of an earlier one");
        drop(instance);
        assert_eq!(files(&left_over).map(drop), Err(CallError::FilesHang(LEFT_OVER)));
        hanging.pop();
        assert!(files(&left_over).is_ok());
    }

    #[test]
    fn folders_that_are_granted_count_once_their_instance_is_gone() {
        let left_over = Arc::new(LeftOver::default());
        let mut builder = WasiCtx::builder();
        builder.preopened_dir("/", "/", wasmtime_wasi::FsPerms::ReadOnly).unwrap();
        let mut wasi = builder.build();
        let all = Arc::new(OpenFiles::of_process());
        let mut instance = Files::new(all, Arc::clone(&left_over), &mut wasi).unwrap();
        assert_eq!((instance.folders.count(), instance.full()), (1, None));
        let hanging = instance.folders.0[0].upgrade().unwrap();
        drop((instance, wasi));
        assert_eq!(left_over.0.lock().unwrap().count(), 1);
        drop(hanging);
        assert_eq!(left_over.0.lock().unwrap().count(), 0);
    }
}
