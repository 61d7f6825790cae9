//! Input, a line an event, read ahead of the network by a bounded amount.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The lines of a file or of standard input, in order.
pub(super) struct Lines {
    receiver: Receiver<Result<Line, InputError>>,
    /// How long the input is in bytes, if it is a file.
    pub(super) input_bytes: Option<u64>,
}

/// One line, without its line end.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) text: String,
    /// Bytes of the input, the line end included.
    pub(super) input_bytes: u64,
    /// Its share of what may be read ahead.
    _share: Option<OwnedSemaphorePermit>,
}

/// Why the input cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(super) enum InputError {
    #[error("the input cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("line {line} is not UTF-8")]
    NotUtf8 { line: u64 },
    #[error("line {line} is longer than {LINE_BYTES_MAX} bytes")]
    TooLong { line: u64 },
}

impl Lines {
    /// Starts to read `path`, or standard input without one.
    pub(super) fn open(path: Option<&Path>) -> io::Result<Self> {
        let mut input_bytes = None;
        let input: Box<dyn Read + Send> = match path {
            Some(path) => {
                let file = File::open(path)?;
                let metadata = file.metadata()?;
                input_bytes = metadata.is_file().then_some(metadata.len());
                Box::new(file)
            }
            None => Box::new(io::stdin()),
        };
        let (sender, receiver) = mpsc::channel(LINES_AHEAD_MAX);
        let runtime = Handle::current();
        // A thread of its own: a read of a terminal cannot be cancelled, and must not keep the
        // program from ending.
        std::thread::spawn(move || read(&mut BufReader::new(input), &sender, &runtime));
        Ok(Self { receiver, input_bytes })
    }

    /// The next line, when it comes.
    pub(super) async fn next(&mut self) -> Option<Result<Line, InputError>> {
        self.receiver.recv().await
    }

    /// The next line, if it is there already.
    pub(super) fn next_ready(&mut self) -> Option<Result<Line, InputError>> {
        self.receiver.try_recv().ok()
    }
}

/// Reads until the end, an error, or nobody wants more.
fn read(input: &mut dyn BufRead, sender: &Sender<Result<Line, InputError>>, runtime: &Handle) {
    let ahead = Arc::new(Semaphore::new(BYTES_AHEAD_MAX as usize));
    let mut number = 0;
    loop {
        number += 1;
        let line = match read_line(input, number) {
            Ok(None) => return,
            Ok(Some(mut line)) => {
                let bytes = line.text.len().max(LINE_COST_BYTES);
                let share = u32::try_from(bytes).unwrap_or(u32::MAX).min(BYTES_AHEAD_MAX);
                line._share = runtime.block_on(Arc::clone(&ahead).acquire_many_owned(share)).ok();
                Ok(line)
            }
            Err(error) => Err(error),
        };
        let is_last = line.is_err();
        if sender.blocking_send(line).is_err() || is_last {
            return;
        }
    }
}

/// Reads up to the next LF or the end. A CR before the LF belongs to the line end.
fn read_line(input: &mut dyn BufRead, number: u64) -> Result<Option<Line>, InputError> {
    let mut bytes = Vec::new();
    let read = input.take(LINE_BYTES_MAX + 2).read_until(b'\n', &mut bytes)?;
    if read == 0 {
        return Ok(None);
    }
    if bytes.pop_if(|byte| *byte == b'\n').is_some() {
        bytes.pop_if(|byte| *byte == b'\r');
    }
    if bytes.len() as u64 > LINE_BYTES_MAX {
        return Err(InputError::TooLong { line: number });
    }
    let text = String::from_utf8(bytes).map_err(|_| InputError::NotUtf8 { line: number })?;
    Ok(Some(Line { text, input_bytes: read as u64, _share: None }))
}

/// The longest line: 64 MiB, far above what a hub takes.
const LINE_BYTES_MAX: u64 = 64 << 20;
/// What is read ahead while a batch is on its way: a few batches' worth.
const BYTES_AHEAD_MAX: u32 = 4 << 20;
/// The same in lines, for short ones.
const LINES_AHEAD_MAX: usize = 4_000;
/// What a line costs in memory, however short.
const LINE_COST_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(mut input: &[u8]) -> Result<Vec<String>, InputError> {
        let mut texts = Vec::new();
        while let Some(line) = read_line(&mut input, texts.len() as u64 + 1)? {
            texts.push(line.text);
        }
        Ok(texts)
    }

    #[test]
    fn a_line_ends_with_lf_or_crlf_and_the_last_need_not() {
        assert_eq!(texts(b"a\r\nb\n\nc\rd").unwrap(), ["a", "b", "", "c\rd"]);
        assert_eq!(texts(b"a\n").unwrap(), ["a"]);
        assert_eq!(texts(b"\n").unwrap(), [""]);
        assert!(texts(b"").unwrap().is_empty());
    }

    #[test]
    fn the_line_that_is_not_text_is_named() {
        let error = texts(b"a\n\xff\n").unwrap_err();
        assert_eq!(error.to_string(), "line 2 is not UTF-8");
    }
}
