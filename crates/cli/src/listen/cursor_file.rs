//! The file that remembers where a listener got to.

use std::io;
use std::path::Path;

use tidings_client::EventId;

use crate::whole_file::WholeFile;

/// The file, and the id that is in it.
pub(super) struct CursorFile {
    file: WholeFile,
    stored: EventId,
}

impl CursorFile {
    /// Reads the file. One that does not exist yet is as good as an empty one.
    ///
    /// # Errors
    /// The file cannot be read, or what it holds is not an id.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = WholeFile::new(path);
        let text = file.read()?;
        let stored = EventId::new(text.strip_suffix('\n').unwrap_or(&text))
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(Self { file, stored })
    }

    /// The id to resume after.
    pub(super) const fn id(&self) -> &EventId {
        &self.stored
    }

    /// Puts `id` in the file, if it is another than is there.
    ///
    /// A killed listener leaves the old id or the new one. There is no sync: a machine that loses
    /// power may go back to an earlier id, and then events come again.
    pub(super) fn store(&mut self, id: &EventId) -> io::Result<()> {
        if self.stored == *id {
            return Ok(());
        }
        self.file.replace(&format!("{id}\n"))?;
        self.stored = id.clone();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn it_holds_what_was_stored_last() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cursor");
        let mut file = CursorFile::open(&path).unwrap();
        assert!(file.id().is_empty());
        for id in ["#a-1", " spaces ", "é"] {
            file.store(&id.parse().unwrap()).unwrap();
            assert_eq!(*CursorFile::open(&path).unwrap().id(), id);
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        // An id that was taken back leaves nothing to resume after.
        file.store(&EventId::default()).unwrap();
        assert!(CursorFile::open(&path).unwrap().id().is_empty());
    }

    #[test]
    fn what_is_no_id_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cursor");
        fs::write(&path, "two\nlines\n").unwrap();
        assert_eq!(CursorFile::open(&path).err().unwrap().kind(), io::ErrorKind::InvalidData);
    }
}
