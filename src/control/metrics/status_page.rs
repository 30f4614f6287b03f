//! The page for a browser: what `vrrpctl status` and `vrrpctl health` say, as HTML without a
//! script.
//!
//! Pure. Everything that comes from elsewhere is escaped: a check's words and another node's name
//! are chosen by others.

use crate::control::health::NodeHealth;
use crate::control::message::StatusDoc;
use crate::control::render;
use std::fmt::{self, Display, Write as _};

/// The media type of the page.
pub(super) const CONTENT_TYPE: &str = "text/html; charset=utf-8";

const STYLE: &str = "body{font-family:sans-serif;margin:2em}table{border-collapse:collapse}\
                     th,td{text-align:left;padding:.2em .8em;border-bottom:1px solid #ccc}\
                     .ok{color:#060}.warning{color:#850}.critical{color:#a00}";

/// The page about a node.
pub(super) fn html(status: &StatusDoc) -> String {
    let health = NodeHealth::of(status).document;
    let node = Escaped(&status.node);
    let (class, line) = (Escaped(&health.level), render::health(&health));
    let line = Escaped(line.trim_end());
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>vrrpd on {node}</title>\n\
         <style>{STYLE}</style></head>\n<body><h1>vrrpd on {node}</h1>\n<p class=\"{class}\">{line}</p>\n"
    );
    let (titles, rows) = render::status_cells(status);
    page.push_str("<table>\n");
    row(&mut page, "th", titles.iter().copied());
    for cells in &rows {
        row(&mut page, "td", cells.iter().map(String::as_str));
    }
    page.push_str("</table>\n");
    for warning in render::status_warnings(status) {
        let _infallible = writeln!(page, "<p class=\"warning\">{}</p>", Escaped(&warning));
    }
    let _infallible = writeln!(
        page,
        "<p>{} · vrrpd {} · <a href=\"/metrics\">metrics</a> · <a href=\"/health\">health</a></p>\n</body></html>",
        status.time,
        env!("CARGO_PKG_VERSION")
    );
    page
}

fn row<'c>(page: &mut String, tag: &str, cells: impl Iterator<Item = &'c str>) {
    page.push_str("<tr>");
    for cell in cells {
        let _infallible = write!(page, "<{tag}>{}</{tag}>", Escaped(cell));
    }
    page.push_str("</tr>\n");
}

/// A text in which no character means anything in HTML, neither between tags nor in an attribute.
struct Escaped<'t>(&'t str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::message::WarningDoc;
    use crate::words::Stamp;

    #[test]
    fn what_others_say_cannot_become_markup() {
        let evil = "<script>alert('x')</script>&\"";
        let time = Stamp("2026-11-22T10:00:00Z".parse().unwrap());
        let warning = WarningDoc {
            kind: "channel".into(),
            severity: "warning".into(),
            peer: None,
            peer_node: None,
            mac: None,
            since: time,
            message: evil.to_owned(),
        };
        let status = StatusDoc {
            version: 1,
            node: evil.to_owned(),
            time,
            virtual_routers: vec![],
            nodes: None,
            warnings: vec![warning],
        };
        let page = html(&status);
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;"), "{page}");
    }
}
