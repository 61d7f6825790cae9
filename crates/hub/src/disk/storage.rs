//! The seam between the log and the disk: so few operations that a simulated disk can crash at
//! each of them.

use std::{
    fmt,
    fs::{self, OpenOptions, TryLockError},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::UNIX_EPOCH,
};

use tidings_server::record::Timestamp;

/// A directory of files.
pub(crate) trait Storage: fmt::Debug + Send + Sync + 'static {
    /// The directory, for messages.
    fn dir(&self) -> &Path;
    /// The present moment.
    fn now(&self) -> Timestamp;
    /// Takes the directory for this process until the lock is dropped.
    fn lock(&self, name: &str) -> io::Result<Lock>;
    /// The names of the files there are.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Makes an empty file, in place of one of that name.
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>>;
    /// Opens a file that is there.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;
    /// Renames a file, in place of one of the new name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Unlinks a file; who has it open goes on reading it.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes creations, renamings and removals durable.
    fn sync_dir(&self) -> io::Result<()>;
}

/// An open file.
pub(crate) trait File: fmt::Debug + Send + Sync {
    /// The file's length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Reads up to `buffer`'s length; less only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;
    /// Writes all of `bytes`; on an error any of them may have been written.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;
    /// Reserves room for `len` bytes as far as the file system can.
    fn reserve(&self, len: u64) -> io::Result<()>;
    /// Cuts the file off, or extends it by zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes the file's bytes durable, with as much of its metadata as reading them needs.
    fn sync(&self) -> io::Result<()>;
}

/// A directory that is taken.
#[derive(Debug)]
pub(crate) struct Lock {
    /// Names the directory itself: another one, even with the same content, has another
    /// identity.
    pub(crate) identity: String,
    pub(crate) _held: Box<dyn Held>,
}

/// Whether room on the disk is what is wanting.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// What gives the lock back when it is dropped.
pub(crate) trait Held: fmt::Debug + Send {}

impl<T: fmt::Debug + Send> Held for T {}

/// A directory of the file system.
#[derive(Debug)]
pub(crate) struct Disk {
    dir: PathBuf,
}

impl Disk {
    /// The directory `dir`, which is made if it is not there.
    pub(crate) fn new(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        Ok(Self { dir: dir.to_owned() })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

impl Storage for Disk {
    fn dir(&self) -> &Path {
        &self.dir
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn lock(&self, name: &str) -> io::Result<Lock> {
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).open(self.path(name))?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
            TryLockError::Error(error) => error,
        })?;
        let metadata = file.metadata()?;
        // A copy of the file has another inode, or on another file system by chance the same
        // one, but never the same time of birth, which nobody can set.
        let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let born_ns = born.map_or(0, |born| born.as_nanos());
        let identity = format!("{}-{born_ns}", metadata.ino());
        Ok(Lock { identity, _held: Box::new(file) })
    }

    fn list(&self) -> io::Result<Vec<String>> {
        fs::read_dir(&self.dir)?
            .filter_map(|entry| match entry {
                Ok(entry) => entry.file_name().into_string().ok().map(Ok),
                Err(error) => Some(Err(error)),
            })
            .collect()
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(self.path(name))?;
        Ok(Arc::new(file))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(OpenOptions::new().read(true).write(true).open(self.path(name))?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        fs::File::open(&self.dir)?.sync_all()
    }
}

impl File for fs::File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match FileExt::read_at(self, &mut buffer[filled..], at + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        use rustix::{fs::FallocateFlags, io::Errno};
        match rustix::fs::fallocate(self, FallocateFlags::empty(), 0, len) {
            // Not every file system can; then the zeros that follow take the room.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        fs::File::set_len(self, len)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
