//! The file that remembers how far a relay got.

use std::borrow::Cow;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tidings_client::EventId;

use super::key::Scope;
use crate::whole_file::WholeFile;

/// The file, and what this run has put in it.
pub(super) struct CursorFile {
    file: WholeFile,
    stored: Option<Cursor>,
}

/// How far a relay got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The upstream's id in force after everything that is published.
    ///
    /// There is no count of the events after it: an upstream is asked for what follows an id, and
    /// what it then sends need not be what it sent before.
    pub(super) last_event_id: EventId,
    /// Whether the upstream was found to use ids twice.
    pub(super) ids_are_reused: bool,
    /// The count of everything that is published, for the keys.
    pub(super) scope: Scope,
}

impl Cursor {
    /// Where a relay begins that knows nothing yet.
    pub(super) fn new(scope: Scope) -> Self {
        Self { last_event_id: EventId::default(), ids_are_reused: false, scope }
    }
}

/// The cursor as JSON.
#[derive(Serialize, Deserialize)]
struct Text<'a> {
    #[serde(borrow)]
    last_event_id: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ids_are_reused: bool,
    #[serde(borrow)]
    scope: Option<Cow<'a, str>>,
    count: Option<u64>,
}

impl CursorFile {
    /// Reads the file, and the cursor in it. A file that does not exist yet is as good as an empty
    /// one: its cursor is new, with `new_scope`. So is the count of a file that has none.
    ///
    /// # Errors
    /// The file cannot be read, or what it holds is not a cursor.
    pub(super) fn open(path: &Path, new_scope: Scope) -> io::Result<(Self, Cursor)> {
        let file = WholeFile::new(path);
        let text = file.read()?;
        let cursor =
            if text.is_empty() { Cursor::new(new_scope) } else { parsed(&text, new_scope)? };
        Ok((Self { file, stored: None }, cursor))
    }

    /// Whether this run has stored `cursor` last.
    pub(super) fn holds(&self, cursor: &Cursor) -> bool {
        self.stored.as_ref() == Some(cursor)
    }

    /// Puts `cursor` in the file, if this run has not done so last, and has it survive a loss of
    /// power: an empty file would begin at the upstream's live end, and a count that goes back would
    /// use keys again.
    pub(super) fn store(&mut self, cursor: &Cursor) -> io::Result<()> {
        if self.holds(cursor) {
            return Ok(());
        }
        let text = Text {
            last_event_id: cursor.last_event_id.as_str().into(),
            ids_are_reused: cursor.ids_are_reused,
            scope: Some(cursor.scope.name.as_str().into()),
            count: Some(cursor.scope.count),
        };
        self.file.replace_and_sync(&format!("{}\n", serde_json::to_string(&text)?))?;
        self.stored = Some(cursor.clone());
        Ok(())
    }
}

fn parsed(text: &str, new_scope: Scope) -> io::Result<Cursor> {
    let Text { last_event_id, ids_are_reused, scope, count } = serde_json::from_str(text)?;
    let last_event_id = EventId::new(last_event_id.into_owned())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let scope = match (scope, count) {
        (Some(name), Some(count)) => Scope { name: name.into_owned(), count },
        _ => new_scope,
    };
    Ok(Cursor { last_event_id, ids_are_reused, scope })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn it_holds_what_was_stored_last() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cursor");
        let new = Cursor::new(Scope::new(1));
        let (mut file, cursor) = CursorFile::open(&path, Scope::new(1)).unwrap();
        assert_eq!(cursor, new);
        assert!(!path.exists());
        for (id, ids_are_reused, count) in
            [("", false, 0), ("#a-1", false, 0), ("\"é\u{1}", false, 8), ("\"é\u{1}", true, 8)]
        {
            let scope = Scope { count, ..Scope::new(1) };
            let cursor = Cursor { last_event_id: id.parse().unwrap(), ids_are_reused, scope };
            file.store(&cursor).unwrap();
            assert!(file.holds(&cursor));
            assert_eq!(CursorFile::open(&path, Scope::new(2)).unwrap().1, cursor);
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_without_a_count_begins_a_new_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cursor");
        for more in ["", ",\"scope\":\"a\"", ",\"count\":7"] {
            fs::write(&path, format!("{{\"last_event_id\":\"7\"{more}}}")).unwrap();
            let (_, cursor) = CursorFile::open(&path, Scope::new(2)).unwrap();
            assert_eq!((cursor.last_event_id.as_str(), cursor.scope), ("7", Scope::new(2)));
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cursor");
        for text in ["#a-1\n", "{}", "{\"last_event_id\":\"a\\n\"}", "{\"last_event_id\":"] {
            fs::write(&path, text).unwrap();
            assert!(CursorFile::open(&path, Scope::new(1)).is_err(), "{text}");
        }
    }
}
