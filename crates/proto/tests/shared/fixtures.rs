//! Streams made from a seed, with what they say: shared by tests and benches, so that no bench can
//! measure a wrong result.

use super::oracle::Seen;

/// A stream and what it says.
pub struct Corpus {
    pub name: &'static str,
    pub stream: Vec<u8>,
    pub seen: Vec<Seen>,
}

impl Corpus {
    /// The events alone.
    pub fn events(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.seen.iter().filter_map(|seen| match seen {
            Seen::Event { event_type, data, last_event_id } => {
                Some((event_type.as_str(), data.as_str(), last_event_id.as_str()))
            }
            _ => None,
        })
    }
}

/// Every corpus, each of about `bytes` bytes.
pub fn all(bytes: usize) -> Vec<Corpus> {
    vec![
        llm(bytes),
        tiny(bytes),
        lines_64k(bytes),
        multi(bytes),
        crlf(bytes),
        comments(bytes),
        drip(bytes),
        unicode(bytes),
    ]
}

/// Tokens of a language model: one line of JSON of 200 to 300 bytes an event.
pub fn llm(bytes: usize) -> Corpus {
    let mut corpus = Builder::new("llm", 1);
    while corpus.stream.len() < bytes {
        let data = corpus.json();
        corpus.event(None, None, &data, "\n");
    }
    corpus.done()
}

/// Tiny events, each with an id and a type.
pub fn tiny(bytes: usize) -> Corpus {
    let mut corpus = Builder::new("tiny", 2);
    let mut id = 1_000;
    while corpus.stream.len() < bytes {
        id += 1;
        let data = (corpus.random.below(90) + 10).to_string();
        corpus.event(Some(&id.to_string()), Some("tick"), &data, "\n");
    }
    corpus.done()
}

/// Data lines of 64 KiB.
pub fn lines_64k(bytes: usize) -> Corpus {
    let mut corpus = Builder::new("64k", 3);
    while corpus.stream.len() < bytes {
        let data = corpus.letters(64 << 10);
        corpus.event(None, None, &data, "\n");
    }
    corpus.done()
}

/// Twenty data lines of 80 bytes an event.
pub fn multi(bytes: usize) -> Corpus {
    let mut corpus = Builder::new("multi", 4);
    while corpus.stream.len() < bytes {
        let lines: Vec<String> = (0..20).map(|_| corpus.letters(80)).collect();
        corpus.event(None, None, &lines.join("\n"), "\n");
    }
    corpus.done()
}

/// Ids, types and JSON with CRLF as the line end.
pub fn crlf(bytes: usize) -> Corpus {
    let mut corpus = Builder::new("crlf", 5);
    let mut id = 0;
    while corpus.stream.len() < bytes {
        id += 1;
        let data = corpus.json();
        corpus.event(Some(&id.to_string()), Some("update"), &data, "\r\n");
    }
    corpus.done()
}

/// An idle stream: heartbeats, and an event every fifty.
pub fn comments(bytes: usize) -> Corpus {
    let mut corpus = Builder::new("comments", 6);
    while corpus.stream.len() < bytes {
        for _ in 0..50 {
            corpus.stream.extend_from_slice(b": keep-alive\n\n");
            corpus.seen.push(Seen::Comment(" keep-alive".to_owned()));
        }
        corpus.event(None, None, "beat", "\n");
    }
    corpus.done()
}

/// One line as long as the stream.
pub fn drip(bytes: usize) -> Corpus {
    let mut corpus = Builder::new("drip", 7);
    let data = corpus.letters(bytes.saturating_sub(8));
    corpus.event(None, None, &data, "\n");
    corpus.done()
}

/// Text beyond ASCII, in lines of about 120 characters.
pub fn unicode(bytes: usize) -> Corpus {
    let mut corpus = Builder::new("unicode", 8);
    let letters: Vec<char> = "aé中🦀 ßя日本語".chars().collect();
    while corpus.stream.len() < bytes {
        let count = 100 + corpus.random.below(40);
        let data: String =
            (0..count).map(|_| letters[corpus.random.below(letters.len())]).collect();
        corpus.event(None, None, &data, "\n");
    }
    corpus.done()
}

struct Builder {
    name: &'static str,
    random: Random,
    stream: Vec<u8>,
    seen: Vec<Seen>,
    last_event_id: String,
}

impl Builder {
    fn new(name: &'static str, seed: u64) -> Self {
        Self {
            name,
            random: Random(seed),
            stream: Vec::new(),
            seen: Vec::new(),
            last_event_id: String::new(),
        }
    }

    /// Writes a frame. It does not use the encoder, which would be tested against itself.
    fn event(&mut self, id: Option<&str>, name: Option<&str>, data: &str, line_end: &str) {
        let mut line = |field: &str, value: &str| {
            for text in [field, ": ", value, line_end] {
                self.stream.extend_from_slice(text.as_bytes());
            }
        };
        if let Some(id) = id {
            line("id", id);
            id.clone_into(&mut self.last_event_id);
        }
        if let Some(name) = name {
            line("event", name);
        }
        for value in data.split('\n') {
            line("data", value);
        }
        self.stream.extend_from_slice(line_end.as_bytes());
        self.seen.push(Seen::Event {
            event_type: name.unwrap_or("message").to_owned(),
            data: data.to_owned(),
            last_event_id: self.last_event_id.clone(),
        });
    }

    fn json(&mut self) -> String {
        let tail = 90 + self.random.below(100);
        format!(
            r#"{{"id":"chatcmpl-{}","object":"chat.completion.chunk","created":17{:08},"choices":[{{"index":0,"delta":{{"content":"{}"}}}}]}}"#,
            self.random.below(1_000_000),
            self.random.below(100_000_000),
            self.letters(tail),
        )
    }

    fn letters(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(LETTERS[self.random.below(LETTERS.len())])).collect()
    }

    fn done(self) -> Corpus {
        Corpus { name: self.name, stream: self.stream, seen: self.seen }
    }
}

/// A small generator of the same numbers everywhere: SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789 .,:;-";
