//! The page around a report: headings, tables, charts, one style.

use std::fmt::Write as _;

const STYLE: &str = include_str!("style.css");

/// Longest cell, in characters, that stays on one line where the table is wider than the page.
const LONGEST_FIGURE: usize = 24;

/// A page that is being written.
pub(in crate::cli) struct Page {
    title: String,
    body: String,
}

impl Page {
    /// An empty page.
    pub(in crate::cli) fn new(title: &str) -> Self {
        let title = escape(title);
        Self { body: format!("<h1>{title}</h1>\n"), title }
    }

    /// A heading.
    pub(in crate::cli) fn heading(&mut self, text: &str) {
        let _ = writeln!(self.body, "<h2>{}</h2>", escape(text));
    }

    /// A heading below that.
    pub(in crate::cli) fn subheading(&mut self, text: &str) {
        let _ = writeln!(self.body, "<h3>{}</h3>", escape(text));
    }

    /// A paragraph.
    pub(in crate::cli) fn paragraph(&mut self, text: &str) {
        let _ = writeln!(self.body, "<p>{}</p>", escape(text));
    }

    /// A sentence that people act on; `bad` where something fails.
    pub(in crate::cli) fn verdict(&mut self, text: &str, bad: bool) {
        let class = if bad { "verdict bad" } else { "verdict" };
        let _ = writeln!(self.body, "<p class=\"{class}\">{}</p>", escape(text));
    }

    /// A table: the first column is text, the others are figures. Rows named in `marked` stand out.
    pub(in crate::cli) fn table(
        &mut self,
        header: &[&str],
        rows: &[Vec<String>],
        marked: impl Fn(usize) -> bool,
    ) {
        self.rows("table", header, rows, marked);
    }

    /// A table of words: to the left, and broken where a line would be too long for the page.
    pub(in crate::cli) fn words(&mut self, header: &[&str], rows: &[Vec<String>]) {
        self.rows("table class=\"words\"", header, rows, |_| false);
    }

    fn rows(&mut self, tag: &str, header: &[&str], rows: &[Vec<String>], marked: impl Fn(usize) -> bool) {
        let _ = write!(self.body, "<div class=\"wide\"><{tag}><thead><tr>");
        for cell in header {
            let _ = write!(self.body, "<th>{}</th>", escape(cell));
        }
        self.body.push_str("</tr></thead><tbody>\n");
        for (index, row) in rows.iter().enumerate() {
            self.body.push_str(if marked(index) { "<tr class=\"bad\">" } else { "<tr>" });
            for cell in row {
                let tag = if cell.chars().count() > LONGEST_FIGURE { "td class=\"long\"" } else { "td" };
                let _ = write!(self.body, "<{tag}>{}</td>", escape(cell));
            }
            self.body.push_str("</tr>\n");
        }
        self.body.push_str("</tbody></table></div>\n");
    }

    /// What is written already, such as a chart.
    pub(in crate::cli) fn html(&mut self, html: &str) {
        self.body.push_str(html);
    }

    /// The whole file.
    pub(in crate::cli) fn finish(self) -> String {
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><meta name=\"color-scheme\" content=\"light dark\"><title>{}</title>\n<style>\n{STYLE}</style></head>\n<body><main>\n{}<footer>peakscaler {}</footer></main></body></html>\n",
            self.title,
            self.body,
            env!("CARGO_PKG_VERSION")
        )
    }
}

/// Text as it may stand in HTML and in attributes.
pub(in crate::cli) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
