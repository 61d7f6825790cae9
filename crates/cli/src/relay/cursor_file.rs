//! The file that remembers how far a relay got.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tidings_client::EventId;

use crate::whole_file::WholeFile;

/// The file, and what is in it.
pub(super) struct CursorFile {
    file: WholeFile,
    stored: Cursor,
}

/// How far a relay got.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The upstream's id in force after everything that is published.
    ///
    /// There is no count of the events after it: an upstream is asked for what follows an id, and
    /// what it then sends need not be what it sent before.
    pub(super) last_event_id: EventId,
    /// Whether the upstream was found to use ids twice.
    pub(super) ids_are_reused: bool,
}

/// The cursor as JSON.
#[derive(Serialize, Deserialize)]
struct Text<'a> {
    #[serde(borrow)]
    last_event_id: std::borrow::Cow<'a, str>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ids_are_reused: bool,
}

impl CursorFile {
    /// Reads the file. One that does not exist yet is as good as an empty one.
    ///
    /// # Errors
    /// The file cannot be read, or what it holds is not a cursor.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = WholeFile::new(path);
        let text = file.read()?;
        let stored = if text.is_empty() { Cursor::default() } else { parsed(&text)? };
        Ok(Self { file, stored })
    }

    pub(super) const fn cursor(&self) -> &Cursor {
        &self.stored
    }

    /// Puts `cursor` in the file, if it is another than is there, and has it survive a loss of
    /// power: an empty file would begin at the upstream's live end.
    pub(super) fn store(&mut self, cursor: &Cursor) -> io::Result<()> {
        if self.stored == *cursor {
            return Ok(());
        }
        let text = Text {
            last_event_id: cursor.last_event_id.as_str().into(),
            ids_are_reused: cursor.ids_are_reused,
        };
        self.file.replace_and_sync(&format!("{}\n", serde_json::to_string(&text)?))?;
        self.stored = cursor.clone();
        Ok(())
    }
}

fn parsed(text: &str) -> io::Result<Cursor> {
    let Text { last_event_id, ids_are_reused } = serde_json::from_str(text)?;
    let last_event_id = EventId::new(last_event_id.into_owned())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(Cursor { last_event_id, ids_are_reused })
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
        assert_eq!(*file.cursor(), Cursor::default());
        for (id, ids_are_reused) in [("#a-1", false), ("\"é\u{1}", false), ("\"é\u{1}", true)] {
            let cursor = Cursor { last_event_id: id.parse().unwrap(), ids_are_reused };
            file.store(&cursor).unwrap();
            assert_eq!(*CursorFile::open(&path).unwrap().cursor(), cursor);
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        fs::write(&path, "{\"last_event_id\":\"7\"}").unwrap();
        assert_eq!(CursorFile::open(&path).unwrap().cursor().last_event_id, "7");
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cursor");
        for text in ["#a-1\n", "{}", "{\"last_event_id\":\"a\\n\"}", "{\"last_event_id\":"] {
            fs::write(&path, text).unwrap();
            assert!(CursorFile::open(&path).is_err(), "{text}");
        }
    }
}
