//! The code blocks of a guide.

/// A code block with a title.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) language: String,
    pub(crate) title: String,
    pub(crate) text: String,
}

/// The blocks of a page, in their order. Each must have a title, but for those that show what comes
/// out of a command, in `text` and `json`.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let (language, rest) = info.split_once(' ').unwrap_or((info, ""));
        let code = lines.by_ref().take_while(|line| !line.starts_with("```"));
        let text = code.flat_map(|line| [line, "\n"]).collect();
        match rest.strip_prefix("title=") {
            Some(title) => {
                let (language, title) = (language.to_owned(), title.to_owned());
                blocks.push(Block { language, title, text });
            }
            None => assert!(matches!(language, "text" | "json"), "a block without a title: {line}"),
        }
    }
    blocks
}

#[test]
fn blocks_are_what_stands_between_the_fences() {
    let page = "Intro\n```html title=a.html\n<p>\n\n</p>\n```\n```text\nout\n```\n\
                ```sh title=go\ncurl x\n```\n";
    let block = |language: &str, title: &str, text: &str| Block {
        language: language.to_owned(),
        title: title.to_owned(),
        text: text.to_owned(),
    };
    let expected = [block("html", "a.html", "<p>\n\n</p>\n"), block("sh", "go", "curl x\n")];
    assert_eq!(blocks(page), expected);
}

#[test]
#[should_panic(expected = "a block without a title")]
fn code_that_is_not_tried_is_found() {
    blocks("```js\nalert()\n```\n");
}
