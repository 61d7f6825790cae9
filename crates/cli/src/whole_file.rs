//! A small file that is whole at every moment, whatever happens while it is written.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The path of the file, and of the one that is to take its place.
pub(crate) struct WholeFile {
    path: PathBuf,
    new_path: PathBuf,
}

impl WholeFile {
    pub(crate) fn new(path: &Path) -> Self {
        let mut new_path = path.as_os_str().to_owned();
        new_path.push(".new");
        Self { path: path.to_owned(), new_path: new_path.into() }
    }

    /// What is in the file. One that does not exist yet is as good as an empty one.
    ///
    /// # Errors
    /// The file cannot be read, or is not UTF-8.
    pub(crate) fn read(&self) -> io::Result<String> {
        match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            text => text,
        }
    }

    /// Puts `text` in the file. A killed program leaves the old text or the new one.
    ///
    /// There is no sync: a machine that loses power may go back to an earlier text.
    pub(crate) fn replace(&self, text: &str) -> io::Result<()> {
        fs::write(&self.new_path, text)?;
        fs::rename(&self.new_path, &self.path)
    }

    /// The same, and `text` stays when the machine loses power.
    pub(crate) fn replace_and_sync(&self, text: &str) -> io::Result<()> {
        let mut file = File::create(&self.new_path)?;
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        fs::rename(&self.new_path, &self.path)?;
        // The name is in the directory, which has a sync of its own.
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    }
}
