//! The metadata that a workload is known by, kept in one piece: ten thousand workloads have a dozen keys each.

use std::collections::BTreeMap;

/// Keys and values one after the other, and where each ends.
#[derive(Debug)]
pub(super) struct Metadata {
    text: Box<str>,
    ends: Box<[u32]>,
}

impl Metadata {
    pub(super) fn of(metadata: &BTreeMap<String, String>) -> Self {
        let parts = || metadata.iter().flat_map(|(key, value)| [key.as_str(), value.as_str()]);
        let mut text = String::with_capacity(parts().map(str::len).sum());
        // A message is limited to far less than 4 GiB.
        let mut end = |part: &str| {
            text.push_str(part);
            u32::try_from(text.len()).unwrap_or(u32::MAX)
        };
        let ends = parts().map(&mut end).collect();
        Self { text: text.into_boxed_str(), ends }
    }

    pub(super) fn is(&self, metadata: &BTreeMap<String, String>) -> bool {
        let mut left = &*self.text;
        let mut start = 0;
        let mut ends = self.ends.iter();
        let parts = metadata.iter().flat_map(|(key, value)| [key.as_str(), value.as_str()]);
        let all_are = parts.into_iter().all(|part| {
            let Some(end) = ends.next() else { return false };
            let length = usize::try_from(end - start).unwrap_or(usize::MAX);
            start = *end;
            let Some((kept, rest)) = left.split_at_checked(length) else { return false };
            left = rest;
            kept == part
        });
        all_are && ends.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn is_what_it_was_made_of_and_nothing_else() {
        let all = [
            map(&[]),
            map(&[("", "")]),
            map(&[("a", "")]),
            map(&[("", "a")]),
            map(&[("a", "bc")]),
            map(&[("ab", "c")]),
            map(&[("a", "b"), ("c", "")]),
            map(&[("a", "b"), ("c", "d")]),
            map(&[("a", "b\0c")]),
            map(&[("ě", "š")]),
            map(&[("e", "š")]),
        ];
        for one in &all {
            for other in &all {
                assert_eq!(Metadata::of(one).is(other), one == other, "{one:?} {other:?}");
            }
        }
    }
}
