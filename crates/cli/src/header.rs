//! A header given on the command line.

use std::str::FromStr;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// A header as `Name: value`.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    pub(crate) name: HeaderName,
    pub(crate) value: HeaderValue,
}

impl FromStr for Header {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once(':').ok_or("write it as 'Name: value'")?;
        let name = name.trim().parse().map_err(|_| "this is not the name of a header")?;
        let mut value = HeaderValue::from_str(value.trim())
            .map_err(|_| "the value has a character that no header can carry")?;
        value.set_sensitive(true);
        Ok(Self { name, value })
    }
}

/// The headers as a request takes them.
pub(crate) fn map(headers: &[Header]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for header in headers {
        map.append(&header.name, header.value.clone());
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_colon_separates() {
        let header: Header = "Authorization:  Bearer a:b ".parse().unwrap();
        assert_eq!(header.name, "authorization");
        assert_eq!(header.value, "Bearer a:b");
        for text in ["Authorization", ": x", "a b: c", "a: b\nc: d"] {
            assert!(text.parse::<Header>().is_err(), "{text:?}");
        }
    }
}
