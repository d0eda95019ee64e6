//! Reports as one HTML file: no script, no other file, light and dark, and on paper.

pub(super) mod chart;
pub(super) mod page;
pub(super) mod words;
